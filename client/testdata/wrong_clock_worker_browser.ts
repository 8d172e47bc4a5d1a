/** A tab's worker on a device whose clock is a day ahead. */
import "../worker_browser.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const now = Date.now.bind(Date);
Date.now = () => now() + DAY_MS;
