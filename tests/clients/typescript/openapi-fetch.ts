import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import { zProblemDetails, zTaskBatchRead, zTaskPage, zTaskRead } from "./generated/hey-api/zod.gen";
import type { components, paths } from "./generated/openapi-typescript";
import { baseUrl, owner } from "./settings";

type TaskCreate = components["schemas"]["TaskCreate"];

const { DELETE, GET, PATCH, POST } = createClient<paths>({
  baseUrl,
  headers: { "X-User-ID": owner },
});

const minimal: TaskCreate = { title: "Buy milk" };
const created = await POST("/api/v1/tasks", { body: minimal });
const task = zTaskRead.parse(created.data);
assert.equal(created.data?.description, null);
assert.equal(created.data.completed, false);
const params = { path: { id: task.id } };

const read = await GET("/api/v1/tasks/{id}", { params });
assert.deepEqual(zTaskRead.parse(read.data), task);

const etag = read.response.headers.get("ETag");
assert(etag);

const described = await PATCH("/api/v1/tasks/{id}", {
  params,
  body: { description: "Two litres." },
});
zTaskRead.parse(described.data);
assert.equal(described.data?.title, "Buy milk");
assert.equal(described.data.description, "Two litres.");

const { error: late } = await DELETE("/api/v1/tasks/{id}", {
  params: { ...params, header: { "If-Match": etag } },
});
assert(late);
zProblemDetails.parse(late);
assert.equal(late.status, 412);

const cleared = await PATCH("/api/v1/tasks/{id}", { params, body: { description: null } });
zTaskRead.parse(cleared.data);
assert.equal(cleared.data?.description, null);

const toggled = await POST("/api/v1/tasks/{id}/toggle", { params });
zTaskRead.parse(toggled.data);
assert.equal(toggled.data?.completed, true);

for (const title of ["Bake bread", "Walk the dog"]) {
  await POST("/api/v1/tasks", { body: { title, description: null, completed: true } });
}
await POST("/api/v1/tasks", { body: { title: "Not done" } });

const pages: string[][] = [];
let cursor: string | null | undefined;
do {
  const { data: page } = await GET("/api/v1/tasks", {
    params: {
      query: { completed: true, sort: "created_at", limit: 2, ...(cursor && { cursor }) },
    },
  });
  assert(page);
  zTaskPage.parse(page);
  pages.push(page.items.map(({ title }) => title));
  cursor = page.next_cursor;
} while (cursor);
assert.deepEqual(pages, [["Buy milk", "Bake bread"], ["Walk the dog"]]);

const found = await GET("/api/v1/tasks", { params: { query: { q: "DOG" } } });
zTaskPage.parse(found.data);
assert.equal(found.data?.items.length, 1);

const batch = await POST("/api/v1/tasks/batch", {
  body: { items: [{ title: "Read" }, { title: "Write" }] },
});
const items = zTaskBatchRead.parse(batch.data).items;
assert.deepEqual(
  items.map(({ title }) => title),
  ["Read", "Write"],
);
const selected = { id__in: items.map(({ id }) => id) };
const open = await GET("/api/v1/tasks", {
  params: {
    query: { ...selected, completed: false, created_at__gte: task.created_at, total: true, limit: 1 },
  },
});
const page = zTaskPage.parse(open.data);
assert.equal(page.total, 2);
const item = page.items[0];
assert(item);
const edited = await PATCH("/api/v1/tasks/{id}", {
  params: { path: { id: item.id }, header: { "If-Match": item.etag } },
  body: { title: "Rewrite" },
});
assert.equal(edited.data?.etag, edited.response.headers.get("ETag"));
const completed = await PATCH("/api/v1/tasks", {
  params: { query: selected },
  body: { completed: true },
});
assert.equal(completed.data?.count, 2);
const removed = await DELETE("/api/v1/tasks", { params: { query: selected } });
assert.equal(removed.data?.count, 2);

const { error: invalid } = await POST("/api/v1/tasks", { body: { title: " " } });
assert(invalid);
zProblemDetails.parse(invalid);
assert.equal(invalid.status, 422);
assert.equal(invalid.errors?.[0]?.pointer, "/body/title");

const deleted = await DELETE("/api/v1/tasks/{id}", { params });
assert.equal(deleted.response.status, 204);

const { error: missing } = await GET("/api/v1/tasks/{id}", { params });
assert(missing);
zProblemDetails.parse(missing);
assert.equal(missing.status, 404);
assert.equal(missing.title, "Not Found");
