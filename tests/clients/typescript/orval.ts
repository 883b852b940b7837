import assert from "node:assert/strict";

import { zProblemDetails, zTaskBatchRead, zTaskPage, zTaskRead } from "./generated/hey-api/zod.gen";
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
} from "./generated/orval/api";
import type { TaskCreate } from "./generated/orval/api.schemas";
import { owner } from "./settings";

const asOwner = { headers: { "X-User-ID": owner } };

const minimal: TaskCreate = { title: "Buy milk" };
const created = await createTask(minimal, asOwner);
assert(created.status === 201);
const task = zTaskRead.parse(created.data);
assert.equal(created.data.description, null);
assert.equal(created.data.completed, false);

const read = await getTask(task.id, asOwner);
assert(read.status === 200);
assert.deepEqual(zTaskRead.parse(read.data), task);

const etag = read.headers.get("ETag");
assert(etag);

const described = await updateTask(task.id, { description: "Two litres." }, asOwner);
assert(described.status === 200);
zTaskRead.parse(described.data);
assert.equal(described.data.title, "Buy milk");
assert.equal(described.data.description, "Two litres.");

const late = await deleteTask(task.id, { headers: { ...asOwner.headers, "If-Match": etag } });
assert(late.status === 412);
zProblemDetails.parse(late.data);

const cleared = await updateTask(task.id, { description: null }, asOwner);
assert(cleared.status === 200);
zTaskRead.parse(cleared.data);
assert.equal(cleared.data.description, null);

const toggled = await toggleTask(task.id, asOwner);
assert(toggled.status === 200);
zTaskRead.parse(toggled.data);
assert.equal(toggled.data.completed, true);

for (const title of ["Bake bread", "Walk the dog"]) {
  await createTask({ title, description: null, completed: true }, asOwner);
}
await createTask({ title: "Not done" }, asOwner);

const pages: string[][] = [];
let cursor: string | null | undefined;
do {
  const page = await listTasks(
    { completed: true, sort: "created_at", limit: 2, ...(cursor && { cursor }) },
    asOwner,
  );
  assert(page.status === 200);
  zTaskPage.parse(page.data);
  pages.push(page.data.items.map(({ title }) => title));
  cursor = page.data.next_cursor;
} while (cursor);
assert.deepEqual(pages, [["Buy milk", "Bake bread"], ["Walk the dog"]]);

const found = await listTasks({ q: "DOG" }, asOwner);
assert(found.status === 200);
zTaskPage.parse(found.data);
assert.equal(found.data.items.length, 1);

const batch = await createTasks({ items: [{ title: "Read" }, { title: "Write" }] }, asOwner);
const items = zTaskBatchRead.parse(batch.data).items;
assert.deepEqual(
  items.map(({ title }) => title),
  ["Read", "Write"],
);
const ids = items.map(({ id }) => id);
const open = await listTasks(
  { id__in: ids, completed: false, created_at__gte: task.created_at, total: true, limit: 1 },
  asOwner,
);
const page = zTaskPage.parse(open.data);
assert.equal(page.total, 2);
const item = page.items[0];
assert(item);
const edited = await updateTask(
  item.id,
  { title: "Rewrite" },
  { headers: { ...asOwner.headers, "If-Match": item.etag } },
);
assert(edited.status === 200);
assert.equal(edited.data.etag, edited.headers.get("ETag"));
const completed = await updateTasks({ completed: true }, { id__in: ids }, asOwner);
assert(completed.status === 200);
assert.equal(completed.data.count, 2);
const removed = await deleteTasks({ id__in: ids }, asOwner);
assert(removed.status === 200);
assert.equal(removed.data.count, 2);

const invalid = await createTask({ title: " " }, asOwner);
assert(invalid.status === 422);
zProblemDetails.parse(invalid.data);
assert.equal(invalid.data.errors?.[0]?.pointer, "/body/title");

const deleted = await deleteTask(task.id, asOwner);
assert(deleted.status === 204);

const missing = await getTask(task.id, asOwner);
assert(missing.status === 404);
zProblemDetails.parse(missing.data);
assert.equal(missing.data.title, "Not Found");
