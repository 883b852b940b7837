import assert from "node:assert/strict";

import {
  createTask,
  createTasks,
  deleteTask,
  deleteTasks,
  getTask,
  listTasks,
  toggleTask,
  updateTask,
  updateTasks,
} from "./generated/hey-api";
import { client } from "./generated/hey-api/client.gen";
import { zProblemDetails } from "./generated/hey-api/zod.gen";
import { baseUrl, owner } from "./settings";

// The generated operations validate what they receive.
client.setConfig({ baseUrl, auth: owner });

const { data: task } = await createTask({ body: { title: "Buy milk" }, throwOnError: true });
assert.equal(task.description, null);
assert.equal(task.completed, false);
const path = { id: task.id };

const read = await getTask({ path, throwOnError: true });
assert.deepEqual(read.data, task);

const etag = read.response.headers.get("ETag");
assert(etag);

const described = await updateTask({
  path,
  body: { description: "Two litres." },
  throwOnError: true,
});
assert.equal(described.data.title, "Buy milk");
assert.equal(described.data.description, "Two litres.");

const { error: late } = await deleteTask({ path, headers: { "If-Match": etag } });
assert(late);
zProblemDetails.parse(late);
assert.equal(late.status, 412);

const cleared = await updateTask({ path, body: { description: null }, throwOnError: true });
assert.equal(cleared.data.description, null);

const toggled = await toggleTask({ path, throwOnError: true });
assert.equal(toggled.data.completed, true);

for (const title of ["Bake bread", "Walk the dog"]) {
  await createTask({ body: { title, description: null, completed: true }, throwOnError: true });
}
await createTask({ body: { title: "Not done" }, throwOnError: true });

const pages: string[][] = [];
let cursor: string | null | undefined;
do {
  const { data: page } = await listTasks({
    query: { completed: true, sort: "created_at", limit: 2, ...(cursor && { cursor }) },
    throwOnError: true,
  });
  pages.push(page.items.map(({ title }) => title));
  cursor = page.next_cursor;
} while (cursor);
assert.deepEqual(pages, [["Buy milk", "Bake bread"], ["Walk the dog"]]);

const found = await listTasks({ query: { q: "DOG" }, throwOnError: true });
assert.equal(found.data.items.length, 1);

const batch = await createTasks({
  body: { items: [{ title: "Read" }, { title: "Write" }] },
  throwOnError: true,
});
assert.deepEqual(
  batch.data.items.map(({ title }) => title),
  ["Read", "Write"],
);
const ids = batch.data.items.map(({ id }) => id);
const open = await listTasks({
  query: { id__in: ids, completed: false, created_at__gte: task.created_at, total: true, limit: 1 },
  throwOnError: true,
});
assert.equal(open.data.total, 2);
const item = open.data.items[0];
assert(item);
const edited = await updateTask({
  path: { id: item.id },
  headers: { "If-Match": item.etag },
  body: { title: "Rewrite" },
  throwOnError: true,
});
assert.equal(edited.data.etag, edited.response.headers.get("ETag"));
const completed = await updateTasks({
  query: { id__in: ids },
  body: { completed: true },
  throwOnError: true,
});
assert.equal(completed.data.count, 2);
const removed = await deleteTasks({ query: { id__in: ids }, throwOnError: true });
assert.equal(removed.data.count, 2);

const { error: invalid } = await createTask({ body: { title: " " } });
assert(invalid);
zProblemDetails.parse(invalid);
assert.equal(invalid.status, 422);
assert.equal(invalid.errors?.[0]?.pointer, "/body/title");

const deleted = await deleteTask({ path, throwOnError: true });
assert.equal(deleted.response.status, 204);

const { error: missing } = await getTask({ path });
assert(missing);
zProblemDetails.parse(missing);
assert.equal(missing.status, 404);
assert.equal(missing.title, "Not Found");
