import { NATIVE } from "./testdata/subject_native.ts";
import { testMergeProperty } from "./testdata/merge_property_suite.ts";

testMergeProperty(NATIVE, { runs: 100 });
