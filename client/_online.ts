/** Calls functions whenever the device comes back online or goes offline, where the runtime tells. */
export function onOnline(
  listeners: { readonly online: () => void; readonly offline?: () => void },
): () => void {
  const target = globalThis as Partial<
    Pick<EventTarget, "addEventListener" | "removeEventListener">
  >;
  for (const [name, listener] of Object.entries(listeners)) {
    target.addEventListener?.(name, listener);
  }
  return () => {
    for (const [name, listener] of Object.entries(listeners)) {
      target.removeEventListener?.(name, listener);
    }
  };
}
