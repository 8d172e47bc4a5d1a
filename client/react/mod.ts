/**
 * React over a LakeSync client: live queries, changes, and the state of sync as hooks.
 *
 * @module
 */
export { LakeSyncProvider, type LakeSyncProviderProps, useLakeSync } from "./provider.tsx";
export { useQuery, type UseQueryOptions, useSuspenseQuery } from "./query.ts";
export type { QueryState } from "./_query_store.ts";
export { type Mutation, useMutation } from "./mutation.ts";
export { useSyncStatus } from "./sync_status.ts";
