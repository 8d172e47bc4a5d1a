/** Which list is open: the address says so, so that going back and opening anew work as in any page. */

/** The id of the open list, if one is. */
export function openList(): string | undefined {
  const [, id] = /^#\/list\/(.+)$/.exec(location.hash) ?? [];
  return id === undefined ? undefined : decodeURIComponent(id);
}

/** The address of a list. */
export function listAddress(id: string): string {
  return `#/list/${encodeURIComponent(id)}`;
}

/** Opens a list, or none. */
export function goTo(id: string | undefined): void {
  location.hash = id === undefined ? "#/" : listAddress(id);
}

/** Whether the lists and the open one are beside each other. */
export function isWide(): boolean {
  return matchMedia("(min-width: 48rem)").matches;
}

/** Lists that were just made here: whoever made one goes on by writing what is on it. */
export const newLists: Set<string> = new Set();
