/**
 * Sources: what data flows into a gateway from.
 *
 * @module
 */
export { type CopyReport, copySource, type CopySourceOptions } from "./copy_source.ts";
export { type CsvRecord, csvRecords, type CsvRecordsOptions } from "./csv_records.ts";
export {
  type DatabaseSource,
  databaseSource,
  type DatabaseSourceOptions,
} from "./database_source.ts";
export { jsonRecords } from "./json_records.ts";
export { type Records, recordSource, type RecordSourceOptions } from "./record_source.ts";
export type { SqlSourceOptions } from "./_sql_reader.ts";
export {
  sqlCursorSource,
  type SqlCursorSourceOptions,
  type SqlSource,
} from "./sql_cursor_source.ts";
export { sqlDiffSource, type SqlDiffSourceOptions } from "./sql_diff_source.ts";
