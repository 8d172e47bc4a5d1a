import { fileURLToPath } from "node:url";
import { fileObjectStore } from "@lakesync/adapter-file";
import {
  type Catalogue,
  filesCatalogue,
  icebergDestination,
  restCatalogue,
  type RestCatalogueOptions,
  type TablePlace,
} from "@lakesync/adapter-iceberg";
import { jsonDestination } from "@lakesync/adapter-json";
import { credentialsFromEnv, type S3ObjectStore, s3ObjectStore } from "@lakesync/adapter-s3";
import {
  type Destination,
  err,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";
import type { CatalogueChoice, LakeChoice } from "./lake_choice.ts";
import { type Probe, probedOnce, writtenWhenProbed } from "./lake_probe.ts";

/** The environment's variables. */
export type Env = { readonly [name: string]: string | undefined };

/** The lakes of a server's gateways. */
export interface Lakes {
  /** A gateway's tables; undefined where its lake is JSON. */
  catalogue(id: string): Catalogue | undefined;
  /** What a gateway flushes to, under a name for stats: `lake` where none is given. */
  destination(id: string, name?: string): Destination;
  /** Where the gateways' instances share checkpoints; undefined where they do not. */
  readonly checkpoints: ObjectStore | undefined;
  /** Why the bucket could not be probed; undefined where it was, or need not be. */
  readonly unprobed?: LakeSyncError | undefined;
}

/** Options of {@linkcode openLakes}. */
export interface OpenLakesOptions {
  /** Which. */
  readonly choice: LakeChoice;
  /** The directory of a gateway's lake where that is in files. */
  readonly directory: (id: string) => string;
  /** The environment. */
  readonly env: Env;
  /**
   * Whether a bucket that does not answer now is opened all the same: it is then probed before something
   * is written to it.
   *
   * @default {false}
   */
  readonly patient?: boolean;
}

/** How long a server that starts waits for a bucket; flushes wait longer. */
const AT_START = { attempts: 1, timeoutMs: 10_000 };

/**
 * Opens the lakes of a server.
 *
 * @param options Where they are.
 * @returns The lakes; `VALIDATION_ERROR` where the choice or the environment does not fit, or where a
 * bucket without a catalogue does not know `If-None-Match`, without which two writers would overwrite
 * each other's commits; `STORAGE_ERROR` where it cannot be asked, unless that may wait.
 */
export async function openLakes(options: OpenLakesOptions): Promise<Result<Lakes>> {
  const tables = await openTables(options);
  if (!tables.ok) return tables;
  const { url, checkpoints = url && `${url.replace(/\/+$/, "")}/_checkpoints` } = options.choice;
  if (checkpoints === undefined) return ok({ ...tables.value, checkpoints });
  const open = bucketAt(checkpoints, options);
  if (!open.ok) return open;
  try {
    return ok({ ...tables.value, checkpoints: open.value("") });
  } catch (thrown) {
    return invalid(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

async function openTables(
  options: OpenLakesOptions,
): Promise<Result<Omit<Lakes, "checkpoints">>> {
  const { choice, directory, env } = options;
  const { format = "iceberg", catalogue, url } = choice;
  if (catalogue !== undefined) {
    if (url !== undefined || format === "json") {
      return invalid(
        "A lake in a catalogue is where that says, and of Iceberg tables: take url and format out",
      );
    }
    return openCatalogue(catalogue, { choice, env });
  }
  const place: Result<OpenPlace> = url === undefined
    ? ok({ open: (id) => fileObjectStore({ directory: directory(id) }) })
    : await openBucket(url, options);
  if (!place.ok) return place;
  const { open, probe, unprobed } = place.value;
  const isJson = format === "json";
  const make = isJson ? jsonDestination : icebergDestination;
  return ok({
    catalogue: (id) => isJson ? undefined : filesCatalogue(open(id)),
    destination: (id, name = "lake") =>
      writtenWhenProbed(make({ store: open(id), name }), unprobed && probe),
    unprobed,
  });
}

/** Folders for lakes. */
interface OpenPlace {
  readonly open: (id: string) => ObjectStore;
  /** Asks whether they can be lakes, until it was answered that they can. */
  readonly probe?: Probe;
  readonly unprobed?: LakeSyncError;
}

async function openBucket(
  url: string,
  { patient = false, ...options }: OpenLakesOptions,
): Promise<Result<OpenPlace>> {
  const bucket = bucketAt(url, options);
  if (!bucket.ok) return bucket;
  const open = bucket.value;
  try {
    const probed = await open("", patient ? AT_START : {}).probe();
    if (probed.ok) return ok({ open });
    if (!patient || probed.error.code === "VALIDATION_ERROR") return probed;
    return ok({ open, probe: probedOnce(() => open("").probe()), unprobed: probed.error });
  } catch (thrown) {
    return invalid(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** Folders of a bucket. */
function bucketAt(
  url: string,
  { choice, env }: { choice: LakeChoice; env: Env },
): Result<(folder: string, patience?: Partial<typeof AT_START>) => S3ObjectStore> {
  const place = parseS3(url);
  if (place === undefined) return invalid(`The lake "${url}" is no s3://BUCKET/PREFIX`);
  const credentials = credentialsFromEnv(env);
  if (!credentials.ok) return credentials;
  return ok((folder, patience) =>
    s3ObjectStore({
      bucket: place.bucket,
      // Of the characters that an id may have, keys may not have this one.
      prefix: [place.prefix, folder.replaceAll("~", "%7E")].filter(Boolean).join("/"),
      credentials: credentials.value,
      ...s3Settings(choice, env),
      ...patience,
    })
  );
}

function openCatalogue(
  about: CatalogueChoice,
  { choice, env }: { choice: LakeChoice; env: Env },
): Result<Omit<Lakes, "checkpoints">> {
  const auth = authOf(about, { choice, env });
  if (!auth.ok) return auth;
  // Where they are needed and are not there, the first request to S3 says so.
  const own = credentialsFromEnv(env);
  const { namespace = "lakesync_{gateway}", url, warehouse, vended = false } = about;
  const openStore = ({ location, properties, credentials }: TablePlace) => {
    if (location.startsWith("file:")) {
      const path = location.replace(/^file:\/*/, "file:///");
      return fileObjectStore({ directory: fileURLToPath(path) });
    }
    const place = parseS3(location);
    if (place === undefined) {
      throw new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot open "${location}", where the catalogue has a table: only s3:// and file:// can be`,
      );
    }
    const settings = s3Settings(choice, env);
    const endpoint = settings.endpoint ?? properties.get("s3.endpoint");
    const region = choice.region ?? properties.get("client.region") ?? settings.region;
    const style = properties.get("s3.path-style-access");
    const pathStyle = choice.pathStyle ?? (style === undefined ? undefined : style === "true");
    return s3ObjectStore({
      ...place,
      credentials: credentials ?? (() => {
        if (own.ok) return own.value;
        throw own.error;
      }),
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(pathStyle !== undefined && { pathStyle }),
    });
  };
  const open = (id: string): Catalogue =>
    restCatalogue({
      url,
      namespace: namespace.replaceAll("{gateway}", id).split("."),
      openStore,
      vended,
      ...(warehouse !== undefined && { warehouse }),
      ...(auth.value !== undefined && { auth: auth.value }),
    });
  try {
    open("check");
  } catch (thrown) {
    return invalid(thrown instanceof Error ? thrown.message : String(thrown));
  }
  return ok({
    catalogue: open,
    destination: (id, name = "lake") => icebergDestination({ catalogue: open(id), name }),
  });
}

function authOf(
  { sigv4, scope, tokenUrl }: CatalogueChoice,
  { choice, env }: { choice: LakeChoice; env: Env },
): Result<RestCatalogueOptions["auth"]> {
  if (sigv4 !== undefined) {
    const keys = credentialsFromEnv(env);
    if (!keys.ok) return keys;
    const region = choice.region ?? env.AWS_REGION ?? "us-east-1";
    return ok({ kind: "sigv4", keys: keys.value, region, service: sigv4 });
  }
  const { LAKESYNC_CATALOGUE_TOKEN: token, LAKESYNC_CATALOGUE_CREDENTIAL: credential } = env;
  if (token) return ok({ kind: "bearer", token });
  if (!credential) return ok(undefined);
  const colon = credential.indexOf(":");
  if (colon < 1) return invalid("LAKESYNC_CATALOGUE_CREDENTIAL is no id:secret: correct it");
  return ok({
    kind: "oauth2",
    clientId: credential.slice(0, colon),
    clientSecret: credential.slice(colon + 1),
    ...(scope !== undefined && { scope }),
    ...(tokenUrl !== undefined && { tokenUrl }),
  });
}

/** What is said of S3 by a configuration, else by the environment. */
export function s3Settings(
  choice: LakeChoice,
  env: Env,
): { endpoint?: string; region?: string; pathStyle?: boolean } {
  const endpoint = choice.endpoint ??
    (env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined);
  const region = choice.region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined);
  return {
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(choice.pathStyle !== undefined && { pathStyle: choice.pathStyle }),
  };
}

/** Reads `s3://BUCKET/PREFIX`; undefined where it is none. */
export function parseS3(url: string): { bucket: string; prefix: string } | undefined {
  const match = /^s3[an]?:\/\/([^/]+)(?:\/(.*?))?\/*$/.exec(url);
  return match === null ? undefined : { bucket: match[1]!, prefix: match[2] ?? "" };
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
