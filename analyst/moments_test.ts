import { NATIVE } from "./testdata/subject_native.ts";
import { testMoments } from "./testdata/moments_suite.ts";

testMoments(NATIVE);
