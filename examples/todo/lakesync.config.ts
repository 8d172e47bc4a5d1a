/** The example's declaration: `deno task serve --config examples/todo/lakesync.config.ts`. */
import { defineLake } from "@lakesync/deploy";
import { rules } from "./rules.ts";
import { tables } from "./tables.ts";

export default defineLake({ tables, rules });
