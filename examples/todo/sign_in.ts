/** The example's sign-in: whoever asks gets a token of Ann's or Ben's. An app would ask for a password. */
import { signToken } from "@lakesync/gateway";
import { PEOPLE } from "./tables.ts";

/** Where tokens are for, and what signs them. */
export interface SignIn {
  readonly gateway: string;
  readonly secret: string;
}

/** Answers `{ person }` with `{ token }`. */
export async function signIn(request: Request, { gateway, secret }: SignIn): Promise<Response> {
  if (request.method !== "POST") return new Response(null, { status: 405 });
  const { person } = await request.json().catch(() => ({})) as { person?: unknown };
  const known = PEOPLE.find(({ id }) => id === person);
  if (known === undefined) {
    return Response.json({ message: "Sign in as Ann or as Ben" }, { status: 400 });
  }
  const token = await signToken({ sub: known.id, gw: gateway }, { secret });
  return Response.json({ token }, { headers: { "Cache-Control": "no-store" } });
}
