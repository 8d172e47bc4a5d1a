/** Calls a function whenever the device comes back online, where the runtime tells. */
export function onOnline(listener: () => void): () => void {
  const target = globalThis as Partial<
    Pick<EventTarget, "addEventListener" | "removeEventListener">
  >;
  target.addEventListener?.("online", listener);
  return () => target.removeEventListener?.("online", listener);
}
