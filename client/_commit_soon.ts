import type { Result, SqlDatabase, SqlTransaction } from "@lakesync/core";

/** A database that can leave it to the next commit to make one durable. */
interface LooseDatabase extends SqlDatabase {
  transactionSoon?<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>>;
}

/**
 * Runs a transaction that need not be on stable storage when it is answered, because the gateway would
 * tell the same once more. It is whole or not at all, it is never there without those before it, and it
 * is durable with the next one that is. A process that is killed loses nothing; a device without power
 * may find itself as it was before (decision 34).
 */
export function commitSoon<T>(
  database: SqlDatabase,
  body: (tx: SqlTransaction) => Promise<T>,
): Promise<Result<T>> {
  const loose: LooseDatabase = database;
  return loose.transactionSoon?.(body) ?? loose.transaction(body);
}
