/** The web pages that `deno task serve` has beside its gateways: the examples. */
import type { Pages } from "@lakesync/deploy";
import { todoPages } from "./todo/pages.ts";

const pages: Pages = todoPages();

export default pages;
