import { test } from "./test.ts";
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "./assert.ts";

/** What an assertion says when it fails. Written without the assertions under test. */
function messageOf(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("the assertion held");
}

function withoutPrototype(entries: Record<string, unknown>): unknown {
  return Object.assign(Object.create(null), entries);
}

function cyclic(): unknown {
  const object: { self?: unknown } = {};
  object.self = object;
  return object;
}

const equal: [string, unknown, unknown][] = [
  ["NaN", NaN, NaN],
  ["bigints", 2n ** 63n, 2n ** 63n],
  ["objects in another order of keys", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["Maps with object keys", new Map([[{ a: 1 }, 1n]]), new Map([[{ a: 1 }, 1n]])],
  [
    "Sets of objects in another order",
    new Set([{ a: 1 }, { b: 2 }]),
    new Set([{ b: 2 }, { a: 1 }]),
  ],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([0, 1, 2]).subarray(1)],
  ["dates", new Date(1), new Date(1)],
  ["errors", new Error("a"), new Error("a")],
  ["cyclic objects", cyclic(), cyclic()],
  ["an object without prototype", withoutPrototype({ a: [1] }), { a: [1] }],
  [
    "one inside a Map",
    new Map([["k", [withoutPrototype({ a: 1 })]]]),
    new Map([["k", [{ a: 1 }]]]),
  ],
  ["an own key __proto__", JSON.parse('{"__proto__":1}'), JSON.parse('{"__proto__":1}')],
];

for (const [name, a, b] of equal) {
  test(`assertEquals() takes ${name} as equal`, () => {
    assertEquals(a, b);
    messageOf(() => assertNotEquals(a, b));
  });
}

const unequal: [string, unknown, unknown][] = [
  ["0 and -0", 0, -0],
  ["a number and a bigint", 1, 1n],
  ["a number and a string", 1, "1"],
  ["null and undefined", null, undefined],
  ["an undefined field and none", { a: undefined }, {}],
  ["a hole and undefined", [,], [undefined]],
  ["Map values", new Map([["a", 1]]), new Map([["a", 2]])],
  ["Map keys with undefined", new Map([["a", undefined]]), new Map([["b", undefined]])],
  ["Sets", new Set([{ a: 1 }]), new Set([{ a: 2 }])],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ["bytes and an array", new Uint8Array([1]), [1]],
  ["dates", new Date(1), new Date(2)],
  ["causes of errors", new Error("a", { cause: 1 }), new Error("a", { cause: 2 })],
  ["an own key __proto__ and none", JSON.parse('{"__proto__":1}'), {}],
  ["symbol keys", { [Symbol.for("a")]: 1 }, {}],
];

for (const [name, a, b] of unequal) {
  test(`assertEquals() tells ${name} apart`, () => {
    messageOf(() => assertEquals(a, b));
    assertNotEquals(a, b);
  });
}

test("assertEquals() shows a diff with what is there and what was expected", () => {
  const message = messageOf(() => assertEquals({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] }, "rows"));
  assertStringIncludes(message, "rows: ");
  assertMatch(message, /^\+ +2/m);
  assertMatch(message, /^- +3/m);
});

test("every assertion passes what it should pass", async () => {
  assert(1);
  assertFalse(0);
  assertStrictEquals(NaN, NaN);
  assertNotStrictEquals<unknown>({}, {});
  assertExists(0);
  assertInstanceOf(new TypeError(), Error);
  assertMatch("abc", /b/);
  assertNotMatch("abc", /d/);
  assertStringIncludes("abc", "bc");
  assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]);
  assertGreater(2n, 1n);
  assertGreaterOrEqual(2, 2);
  assertLess("a", "b");
  assertLessOrEqual(2, 2);
  assertAlmostEquals(0.1 + 0.2, 0.3);
  assertStrictEquals(assertThrows(() => JSON.parse("{"), SyntaxError).name, "SyntaxError");
  assertStrictEquals(
    (await assertRejects(() => Promise.reject(new RangeError("no")))) instanceof RangeError,
    true,
  );
});

const failing: [string, string, () => unknown][] = [
  ["assert()", "Expected a truthy value, got 0", () => assert(0)],
  ["assertFalse()", "Expected a falsy value, got 1", () => assertFalse(1)],
  ["assertStrictEquals()", "Expected the very value -0, got 0", () => assertStrictEquals(0, -0)],
  ["assertNotStrictEquals()", "Expected anything but 1", () => assertNotStrictEquals(1, 1)],
  ["assertExists()", "Expected a value, got null", () => assertExists(null)],
  ["assertInstanceOf()", "Expected an instance of Error, got 1", () => assertInstanceOf(1, Error)],
  ["assertMatch()", "Expected 'a' to match /b/", () => assertMatch("a", /b/)],
  ["assertNotMatch()", "Expected 'a' not to match /a/", () => assertNotMatch("a", /a/)],
  ["assertStringIncludes()", "Expected 'a' to contain 'b'", () => assertStringIncludes("a", "b")],
  ["assertArrayIncludes()", "Expected [ 1 ] to include [ 2 ]", () => assertArrayIncludes([1], [2])],
  ["assertGreater()", "Expected 1 > 1", () => assertGreater(1, 1)],
  ["assertGreaterOrEqual()", "Expected 0 >= 1", () => assertGreaterOrEqual(0, 1)],
  ["assertLess()", "Expected 1n < 1n", () => assertLess(1n, 1n)],
  ["assertLessOrEqual()", "Expected 2 <= 1", () => assertLessOrEqual(2, 1)],
  [
    "assertAlmostEquals()",
    "Expected 1 to differ from 2 by at most 0.5",
    () => assertAlmostEquals(1, 2, 0.5),
  ],
  ["assertThrows()", "Expected the function to throw", () => assertThrows(() => {})],
  ["fail()", "Failed assertion", () => fail()],
];

for (const [name, expected, fn] of failing) {
  test(`${name} says what was expected when it fails`, () =>
    assertStrictEquals(messageOf(fn), expected));
}

test("assertThrows() fails on an error of another class or message", () => {
  const thrower = () => {
    throw new TypeError("Cannot parse");
  };
  assertMatch(
    messageOf(() => assertThrows(thrower, RangeError)),
    /^Expected RangeError, got TypeError/,
  );
  assertMatch(
    messageOf(() => assertThrows(thrower, TypeError, "read")),
    /^Expected a message with 'read'/,
  );
  assertThrows(thrower, TypeError, "parse");
});

test("assertRejects() fails when the promise resolves, and when no promise is made", async () => {
  const resolved = await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
  );
  assertStrictEquals(resolved.message, "Expected the promise to reject");
  const thrown = await assertRejects(
    () =>
      assertRejects(() => {
        throw new Error("early");
      }),
    AssertionError,
  );
  assertMatch(
    thrown.message,
    /^Expected a promise that rejects, but the function threw Error: early/,
  );
});

test("a failed assertion's stack starts at the line that called it", () => {
  const error = assertThrows(() => {
    // Not in tail position, where JavaScriptCore would leave this line out of the stack.
    assertEquals(1, 2);
  }, AssertionError);
  const frames = error.stack!.split("\n").filter((line) => /^\s+at /.test(line));
  assertStringIncludes(frames[0]!, "assert_test.ts");
});
