import { NATIVE } from "./testdata/subject_native.ts";
import { testMergeTies } from "./testdata/merge_ties_suite.ts";

testMergeTies(NATIVE);
