/**
 * Objects in S3 and what speaks its protocol: R2, MinIO, Ceph, Garage.
 *
 * @module
 */
export {
  credentialsFromEnv,
  type S3Credentials,
  type S3CredentialsProvider,
} from "./credentials.ts";
export { type S3ObjectStore, s3ObjectStore, type S3ObjectStoreOptions } from "./s3_object_store.ts";
