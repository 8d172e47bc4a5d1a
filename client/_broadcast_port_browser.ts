import type { Port } from "./_tab_rpc.ts";

/** A `BroadcastChannel` as a port. */
export function broadcastPort(name: string): Port {
  const channel = new BroadcastChannel(name);
  let open = true;
  return {
    post: (message) => {
      if (open) channel.postMessage(message);
    },
    listen: (listener) => channel.onmessage = ({ data }) => listener(data),
    close: () => {
      open = false;
      channel.close();
    },
  };
}
