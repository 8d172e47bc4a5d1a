/** Where a server's lakes are, and what they are made of. */
export interface LakeChoice {
  /**
   * `s3://BUCKET/PREFIX`: each gateway's lake is in the folder of its id there.
   *
   * @default {undefined} `lake/` in the data directory
   */
  url?: string;
  /**
   * Where S3 is; `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` say it too.
   *
   * @default {undefined} at AWS
   */
  endpoint?: string;
  /**
   * S3's region; `AWS_REGION` says it too.
   *
   * @default {"us-east-1"}
   */
  region?: string;
  /**
   * Whether the bucket is the first part of S3's paths.
   *
   * @default {undefined} where there is an endpoint
   */
  pathStyle?: boolean;
  /**
   * An Iceberg REST catalogue, which then says where the tables are. `LAKESYNC_CATALOGUE_TOKEN` is a
   * bearer token for it, `LAKESYNC_CATALOGUE_CREDENTIAL` (`id:secret`) is for OAuth2.
   *
   * @default {undefined} none
   */
  catalogue?: CatalogueChoice;
  /**
   * `iceberg` tables, or the deltas as gzipped NDJSON.
   *
   * @default {"iceberg"}
   */
  format?: "iceberg" | "json";
  /**
   * `s3://BUCKET/PREFIX`: checkpoints that all instances of a gateway share are kept there.
   *
   * @default {undefined} in `_checkpoints` below `url`; where there is none, first syncs are served from
   * the log
   */
  checkpoints?: string;
  /**
   * How the server keeps the tables in shape (docs/lake.md, *Upkeep*).
   *
   * @default {{}} once an hour
   */
  maintain?: MaintainChoice;
}

/** Which REST catalogue. */
export interface CatalogueChoice {
  /** Its URL, without `/v1`. */
  url: string;
  /**
   * Its warehouse.
   *
   * @default {undefined} its own choice
   */
  warehouse?: string;
  /**
   * The namespace, levels divided by dots; `{gateway}` stands for the gateway's id.
   *
   * @default {"lakesync_{gateway}"}
   */
  namespace?: string;
  /**
   * Whether it lends keys for the tables' files; else they are S3's from the environment.
   *
   * @default {false}
   */
  vended?: boolean;
  /**
   * Sign requests by AWS Signature 4, for this service.
   *
   * @default {undefined} no
   */
  sigv4?: "s3tables" | "glue";
  /**
   * OAuth2's scope.
   *
   * @default {"catalog"}
   */
  scope?: string;
  /**
   * Where OAuth2 tokens are got.
   *
   * @default {undefined} from the catalogue
   */
  tokenUrl?: string;
}

/** How a server keeps its lakes in shape. */
export interface MaintainChoice {
  /**
   * Seconds from the end of a run to the next; 0 for never.
   *
   * @default {3600}
   */
  every?: number;
  /**
   * Whether tables of current rows are made and kept.
   *
   * @default {true}
   */
  compact?: boolean;
  /**
   * How rows that changed are taken out of their files: `rewrite` writes these anew; `positions`,
   * `vectors` (format version 3) and `equality` leave them and say which rows are gone (docs/lake.md,
   * *Without rewriting*).
   *
   * @default {"rewrite"}
   */
  deletes?: "rewrite" | "positions" | "vectors" | "equality";
}

/** How rows that changed are taken out of their files. */
export const DELETES = ["rewrite", "positions", "vectors", "equality"] as const;
