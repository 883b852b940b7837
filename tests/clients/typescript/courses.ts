import assert from "node:assert/strict";

import { createCourse, listCourses, updateCourse } from "./generated/courses/hey-api";
import type { CourseRead as OfHeyApi } from "./generated/courses/hey-api";
import { client } from "./generated/courses/hey-api/client.gen";
import { zCourseCreate, zCourseUpdate } from "./generated/courses/hey-api/zod.gen";
import type { components } from "./generated/courses/openapi-typescript";
import type { CourseRead as OfOrval } from "./generated/courses/orval/api.schemas";
import { baseUrl, owner } from "./settings";

type Course = {
  price: string;
  discount: string | null;
  begins: string;
  lasts: string;
  pause: string | null;
  contact: string;
  site: string;
  days: ("mon" | "tue" | "5%: it's")[];
  tags: string[];
  grades: number[];
  rooms: string[] | null;
  details: { [key: string]: unknown };
  extra: { [key: string]: unknown } | null;
};
type Same<A, B> = [A, B] extends [B, A] ? true : false;
type Is<Generated extends Course> = Same<Pick<Generated, keyof Course>, Course>;

const types: [
  Is<OfHeyApi>,
  Is<components["schemas"]["CourseRead"]>,
  Is<OfOrval>,
] = [true, true, true];
assert.equal(types.length, 3);

// The generated operations validate what they receive.
client.setConfig({ baseUrl, auth: owner });

const body = zCourseCreate.parse({
  code: "ART-1",
  price: "0.10",
  begins: "23:59:59.5",
  lasts: "PT90M",
  contact: "o'neil+x@example.com",
  site: "https://example.com/%7Euser?q=1#top",
  days: ["5%: it's"],
  details: { a: [1, { b: null }], large: 2 ** 53, small: 5e-324 },
});
const { data: course } = await createCourse({ body, throwOnError: true });
assert.equal(course.price, "0.10");
assert.equal(course.begins, "23:59:59.500000");
assert.equal(course.lasts, "PT1H30M");
assert.deepEqual([course.tags, course.grades, course.extra], [[], [1, 6], null]);
assert.deepEqual(course.details, body.details);

const change = zCourseUpdate.parse({
  price: "999999.99",
  pause: "-P1DT0.000001S",
  tags: ["a", "é"],
  rooms: [course.id],
  fees: ["1"],
  link: "urn:isbn:1",
  extra: { b: 1.5 },
});
const path = { id: course.id };
const { data: changed } = await updateCourse({ path, body: change, throwOnError: true });
const { updated_at, etag } = changed;
assert.deepEqual(changed, { ...course, ...change, fees: ["1.00"], updated_at, etag });

const { data: page } = await listCourses({ query: { lasts: "PT5400S" }, throwOnError: true });
assert.deepEqual(page.items, [changed]);

for (const refused of [
  { price: "-1" },
  { price: "1.005" },
  { begins: "24:00:00" },
  { lasts: "-PT1S" },
  { contact: "a" },
  { site: "ftp://a" },
  { days: [] },
  { tags: ["a\n"] },
  { grades: [7] },
]) {
  const [field] = Object.keys(refused);
  const parsed = zCourseUpdate.safeParse(refused);
  assert.equal(parsed.success, false, field);
}
