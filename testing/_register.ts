/** One test, in the form that both runners can be given. */
export interface RegisteredTest {
  name: string;
  skip: boolean;
  timeoutMs: number;
  fn: () => void | Promise<void>;
}

/** Hands a test to the runner of one runtime. */
export type RegisterTest = (test: RegisteredTest) => void;
