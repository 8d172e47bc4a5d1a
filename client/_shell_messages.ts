/** What a page sends to a version of the app's service worker that waits, so that it takes over. */
export const ACTIVATE = "lakesync:activate";

/** What a page sends to learn, on the port that goes with it, how many pages of the app are open. */
export const COUNT_WINDOWS = "lakesync:count-windows";
