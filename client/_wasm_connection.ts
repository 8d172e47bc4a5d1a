import type { SqlRow, SqlValue } from "@lakesync/core";
import type { Sqlite3Static } from "@sqlite.org/sqlite-wasm";
import type { SqliteConnection } from "./_sqlite_database.ts";
import { WasmMemory } from "./_wasm_memory.ts";

type Pointer = number;

/** The functions of `sqlite3.wasm` that are called, as WebAssembly has them. */
interface SqliteExports {
  sqlite3_open_v2(name: Pointer, db: Pointer, flags: number, vfs: Pointer): number;
  sqlite3_close_v2(db: Pointer): number;
  sqlite3_errmsg(db: Pointer): Pointer;
  sqlite3_extended_errcode(db: Pointer): number;
  sqlite3_changes(db: Pointer): number;
  sqlite3_prepare_v3(
    db: Pointer,
    sql: Pointer,
    bytes: number,
    flags: number,
    statement: Pointer,
    tail: Pointer,
  ): number;
  sqlite3_finalize(statement: Pointer): number;
  sqlite3_step(statement: Pointer): number;
  sqlite3_reset(statement: Pointer): number;
  sqlite3_clear_bindings(statement: Pointer): number;
  sqlite3_bind_parameter_count(statement: Pointer): number;
  sqlite3_bind_null(statement: Pointer, index: number): number;
  sqlite3_bind_double(statement: Pointer, index: number, value: number): number;
  sqlite3_bind_int64(statement: Pointer, index: number, value: bigint): number;
  sqlite3_bind_text(
    statement: Pointer,
    index: number,
    text: Pointer,
    bytes: number,
    destructor: number,
  ): number;
  sqlite3_bind_blob(
    statement: Pointer,
    index: number,
    blob: Pointer,
    bytes: number,
    destructor: number,
  ): number;
  sqlite3_column_count(statement: Pointer): number;
  sqlite3_column_name(statement: Pointer, column: number): Pointer;
  sqlite3_column_type(statement: Pointer, column: number): number;
  sqlite3_column_double(statement: Pointer, column: number): number;
  sqlite3_column_int64(statement: Pointer, column: number): bigint;
  sqlite3_column_text(statement: Pointer, column: number): Pointer;
  sqlite3_column_blob(statement: Pointer, column: number): Pointer;
  sqlite3_column_bytes(statement: Pointer, column: number): number;
  sqlite3_stmt_status(statement: Pointer, what: number, reset: number): number;
}

const OK = 0;
const ERROR = 1;
const RANGE = 25;
const ROW = 100;
const DONE = 101;

const OPEN_READWRITE_CREATE = 0x2 | 0x4;
const PREPARE_PERSISTENT = 1;
const STATUS_REPREPARE = 5;
/** The bytes stay where they are until the statement has run. */
const STATIC = 0;

const INTEGER = 1;
const FLOAT = 2;
const TEXT = 3;
const BLOB = 4;

/** Statements that are kept compiled. */
const MAX_STATEMENTS = 200;

/** What SQLite refused; its properties are those of node:sqlite's errors. */
export class WasmSqliteError extends Error {
  /** As node:sqlite has it. */
  readonly code: string;
  /** SQLite's extended result code. */
  readonly errcode: number | undefined;

  constructor(message: string, errcode: number | undefined) {
    super(message);
    this.name = "WasmSqliteError";
    this.code = errcode === undefined ? "ERR_INVALID_ARG_TYPE" : "ERR_SQLITE_ERROR";
    this.errcode = errcode;
  }
}

/** A statement and what is known of it. */
interface Statement {
  readonly pointer: Pointer;
  readonly parameters: number;
  /** Its columns' names, as of the given compilation. */
  columns: readonly string[];
  compiled: number;
}

/** A connection to SQLite in WebAssembly, and its compiled statements. */
export class WasmConnection implements SqliteConnection {
  readonly #sqlite: SqliteExports;
  readonly #memory: WasmMemory;
  readonly #db: Pointer;
  readonly #statements: Map<string, Statement> = new Map();

  private constructor(sqlite: SqliteExports, memory: WasmMemory, db: Pointer) {
    this.#sqlite = sqlite;
    this.#memory = memory;
    this.#db = db;
  }

  /** Opens a file of a VFS; without one, a database in memory. */
  static open(sqlite3: Sqlite3Static, file?: { name: string; vfs: string }): WasmConnection {
    const sqlite: SqliteExports = sqlite3.wasm.exports;
    const memory = new WasmMemory(sqlite3.wasm);
    const { name, vfs } = file ?? { name: ":memory:", vfs: undefined };
    const [db, code] = memory.within([name, vfs], ([path, by], out) => {
      const code = sqlite.sqlite3_open_v2(path!, out, OPEN_READWRITE_CREATE, by!);
      return [memory.pointerAt(out), code];
    });
    const connection = new WasmConnection(sqlite, memory, db);
    if (code === OK) return connection;
    const failure = connection.#failure();
    connection.close();
    throw failure;
  }

  close(): void {
    for (const { pointer } of this.#statements.values()) this.#sqlite.sqlite3_finalize(pointer);
    this.#statements.clear();
    this.#sqlite.sqlite3_close_v2(this.#db);
    this.#memory.free();
  }

  run(sql: string, params: readonly SqlValue[]): number {
    const statement = this.#prepare(sql);
    this.#execute(statement, params, undefined);
    return this.#sqlite.sqlite3_changes(this.#db);
  }

  all(sql: string, params: readonly SqlValue[]): SqlRow[] {
    const rows: SqlRow[] = [];
    this.#execute(this.#prepare(sql), params, rows);
    return rows;
  }

  once(sql: string): SqlRow[] {
    const statement = this.#compile(sql);
    try {
      const rows: SqlRow[] = [];
      this.#execute(statement, [], rows);
      return rows;
    } finally {
      this.#sqlite.sqlite3_finalize(statement.pointer);
    }
  }

  #execute(statement: Statement, params: readonly SqlValue[], rows: SqlRow[] | undefined): void {
    const { pointer } = statement;
    try {
      this.#bind(statement, params);
      for (;;) {
        const code = this.#sqlite.sqlite3_step(pointer);
        if (code === DONE) return;
        if (code !== ROW) throw this.#failure();
        rows?.push(this.#row(statement));
      }
    } finally {
      this.#sqlite.sqlite3_reset(pointer);
      if (params.length > 0) this.#sqlite.sqlite3_clear_bindings(pointer);
    }
  }

  #bind({ pointer, parameters }: Statement, params: readonly SqlValue[]): void {
    if (params.length > parameters) {
      throw new WasmSqliteError("there are more values than parameters", RANGE);
    }
    const memory = this.#memory;
    memory.reserve(params);
    for (let i = 0; i < params.length; i++) {
      const code = this.#bindOne(pointer, i + 1, params[i]!);
      if (code !== OK) throw this.#failure();
    }
  }

  // Numbers are bound as REAL, which is what node:sqlite does: SQL means the same everywhere.
  #bindOne(statement: Pointer, index: number, value: SqlValue): number {
    const sqlite = this.#sqlite;
    const memory = this.#memory;
    switch (typeof value) {
      case "number":
        return sqlite.sqlite3_bind_double(statement, index, value);
      case "string": {
        const at = memory.writeText(value);
        return sqlite.sqlite3_bind_text(statement, index, at, memory.written, STATIC);
      }
      case "bigint":
        if (BigInt.asIntN(64, value) !== value) {
          throw new WasmSqliteError("a bigint is beyond 64 bits", undefined);
        }
        return sqlite.sqlite3_bind_int64(statement, index, value);
    }
    if (value === null) return sqlite.sqlite3_bind_null(statement, index);
    if (value instanceof Uint8Array) {
      const at = memory.writeBytes(value);
      return sqlite.sqlite3_bind_blob(statement, index, at, memory.written, STATIC);
    }
    throw new WasmSqliteError(`a value is of the wrong type: ${typeof value}`, undefined);
  }

  #row(statement: Statement): SqlRow {
    const { pointer } = statement;
    const compiled = this.#sqlite.sqlite3_stmt_status(pointer, STATUS_REPREPARE, 0);
    if (compiled !== statement.compiled) {
      statement.columns = this.#columns(pointer);
      statement.compiled = compiled;
    }
    const { columns } = statement;
    const row: { [column: string]: SqlValue } = Object.create(null);
    for (let i = 0; i < columns.length; i++) row[columns[i]!] = this.#column(pointer, i);
    return row;
  }

  #column(statement: Pointer, column: number): SqlValue {
    const sqlite = this.#sqlite;
    switch (sqlite.sqlite3_column_type(statement, column)) {
      case INTEGER: {
        // Exact up to there; beyond, it is at least rounded to something beyond.
        const number = sqlite.sqlite3_column_double(statement, column);
        return Number.isSafeInteger(number)
          ? number
          : sqlite.sqlite3_column_int64(statement, column);
      }
      case FLOAT:
        return sqlite.sqlite3_column_double(statement, column);
      case TEXT: {
        const at = sqlite.sqlite3_column_text(statement, column);
        return this.#memory.text(at, sqlite.sqlite3_column_bytes(statement, column));
      }
      case BLOB: {
        const at = sqlite.sqlite3_column_blob(statement, column);
        return this.#memory.bytes(at, sqlite.sqlite3_column_bytes(statement, column));
      }
      default:
        return null;
    }
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#compile(sql);
    if (this.#statements.size >= MAX_STATEMENTS) {
      const oldest = this.#statements.entries().next();
      if (!oldest.done) {
        this.#statements.delete(oldest.value[0]);
        this.#sqlite.sqlite3_finalize(oldest.value[1].pointer);
      }
    }
    this.#statements.set(sql, statement);
    return statement;
  }

  #compile(sql: string): Statement {
    if (sql.includes("\0")) throw new WasmSqliteError("the statement has a NUL in it", ERROR);
    const sqlite = this.#sqlite;
    const [pointer, code] = this.#memory.within([sql], ([text], out) => {
      const flags = PREPARE_PERSISTENT;
      const code = sqlite.sqlite3_prepare_v3(this.#db, text!, -1, flags, out, 0);
      return [this.#memory.pointerAt(out), code];
    });
    if (code !== OK) throw this.#failure();
    if (pointer === 0) throw new WasmSqliteError("the statement is empty", ERROR);
    return {
      pointer,
      parameters: sqlite.sqlite3_bind_parameter_count(pointer),
      columns: this.#columns(pointer),
      compiled: 0,
    };
  }

  #columns(statement: Pointer): readonly string[] {
    const count = this.#sqlite.sqlite3_column_count(statement);
    return Array.from(
      { length: count },
      (_, i) => this.#memory.cString(this.#sqlite.sqlite3_column_name(statement, i)),
    );
  }

  #failure(): WasmSqliteError {
    const code = this.#sqlite.sqlite3_extended_errcode(this.#db);
    return new WasmSqliteError(this.#memory.cString(this.#sqlite.sqlite3_errmsg(this.#db)), code);
  }
}
