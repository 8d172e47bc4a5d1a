import { test } from "@lakesync/testing";
import { assertEquals, assertThrows } from "@std/assert";
import { parseJunit } from "./_junit.ts";

test("parseJunit() reads a report of deno test", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="3" failures="1" errors="0" time="0.389">
    <testsuite name="./a_test.ts" tests="3" disabled="1" errors="0" failures="1">
        <testcase name="ok &lt;one&gt; &amp; &quot;two&quot;" classname="./a_test.ts" time="0.000" line="4" col="147">
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.003" line="4" col="147">
            <failure message="boom &lt;x/&gt;">Error: boom &lt;/testcase&gt;
    at file:///a_test.ts:6:27</failure>
        </testcase>
        <testcase name="not here — needs X" classname="./a_test.ts" time="0.000" line="4" col="147">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>
`;
  assertEquals(parseJunit(xml), [
    { title: 'ok <one> & "two"', file: "a_test.ts", outcome: "passed" },
    {
      title: "bad",
      file: "a_test.ts",
      outcome: "failed",
      why: "Error: boom </testcase>\n    at file:///a_test.ts:6:27",
    },
    { title: "not here — needs X", file: "a_test.ts", outcome: "skipped" },
  ]);
});

test("parseJunit() reads a report of bun test", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="3" assertions="0" failures="1" skipped="1" time="0.05">
  <testsuite name="sub/b_test.ts" file="sub/b_test.ts" tests="3" hostname="vm">
    <testcase name="it&apos;s &#x2713; &#10003;" classname="" time="0.000011" file="sub/b_test.ts" line="4" assertions="0" />
    <testcase name="bad" classname="" time="0.001956" file="sub/b_test.ts" line="4" assertions="0">
      <failure type="Error" message="boom">Error: boom&#10;</failure>
    </testcase>
    <testcase name="not here" classname="" time="0" file="sub/b_test.ts" line="4" assertions="0">
      <skipped />
    </testcase>
  </testsuite>
</testsuites>`;
  assertEquals(parseJunit(xml), [
    { title: "it's ✓ ✓", file: "sub/b_test.ts", outcome: "passed" },
    { title: "bad", file: "sub/b_test.ts", outcome: "failed", why: "Error: boom" },
    { title: "not here", file: "sub/b_test.ts", outcome: "skipped" },
  ]);
});

test("parseJunit() refuses a report that was cut off or is none", () => {
  for (const xml of ["", "hello", '<testsuites name="x"><testsuite><testcase name="a"']) {
    assertThrows(() => parseJunit(xml), TypeError, "cut off");
  }
});
