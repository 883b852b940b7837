// Fastify and postgres.js: one statement for each request, and nothing around it.
// PORT says where to listen, and libpq's variables (PGHOST, …) where the database is.

import { randomUUIDv7 } from "node:crypto";
import Fastify from "fastify";
import postgres from "postgres";

const sql = postgres({ max: 5 });
const columns = sql`id, title, description, completed, created_at, updated_at`;

const fields = {
  title: { type: "string", minLength: 1, maxLength: 200 },
  description: { type: ["string", "null"], maxLength: 5000 },
  completed: { type: "boolean" },
};
const taskCreate = {
  type: "object",
  required: ["title"],
  additionalProperties: false,
  properties: {
    ...fields,
    description: { ...fields.description, default: null },
    completed: { ...fields.completed, default: false },
  },
};
const taskUpdate = { type: "object", additionalProperties: false, properties: fields };
const taskRead = {
  type: "object",
  properties: {
    id: { type: "string", format: "uuid" },
    title: { type: "string" },
    description: { type: ["string", "null"] },
    completed: { type: "boolean" },
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  },
};
const params = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "string", format: "uuid" } },
};
const querystring = {
  type: "object",
  properties: {
    offset: { type: "integer", minimum: 0, default: 0 },
    limit: { type: "integer", minimum: 1, maximum: 100, default: 50 },
  },
};

const app = Fastify();
app.decorateRequest("owner", "");
app.addHook("onRequest", async (request, reply) => {
  request.owner = request.headers["x-user-id"];
  if (!request.owner) return reply.code(401).send({ detail: "Unauthorized" });
});

const answer = (reply, [row]) => row ?? reply.code(404).send({ detail: "Not Found" });

app.post(
  "/api/v1/tasks",
  { schema: { body: taskCreate, response: { 201: taskRead } } },
  async ({ owner, body }, reply) => {
    const now = new Date();
    const row = { owner_id: owner, id: randomUUIDv7(), ...body, created_at: now, updated_at: now };
    const rows = await sql`INSERT INTO task ${sql(row)} RETURNING ${columns}`;
    reply.code(201);
    return rows[0];
  },
);

app.get(
  "/api/v1/tasks",
  { schema: { querystring, response: { 200: { type: "array", items: taskRead } } } },
  async ({ owner, query }) => sql`
    SELECT ${columns} FROM task WHERE owner_id = ${owner}
    ORDER BY id DESC OFFSET ${query.offset} LIMIT ${query.limit}`,
);

app.get(
  "/api/v1/tasks/:id",
  { schema: { params, response: { 200: taskRead } } },
  async ({ owner, params }, reply) => {
    const rows = await sql`
      SELECT ${columns} FROM task WHERE owner_id = ${owner} AND id = ${params.id}`;
    return answer(reply, rows);
  },
);

app.patch(
  "/api/v1/tasks/:id",
  { schema: { params, body: taskUpdate, response: { 200: taskRead } } },
  async ({ owner, params, body }, reply) => {
    const changes = { ...body, updated_at: new Date() };
    const rows = await sql`
      UPDATE task SET ${sql(changes)} WHERE owner_id = ${owner} AND id = ${params.id}
      RETURNING ${columns}`;
    return answer(reply, rows);
  },
);

app.post(
  "/api/v1/tasks/:id/toggle",
  { schema: { params, response: { 200: taskRead } } },
  async ({ owner, params }, reply) => {
    const rows = await sql`
      UPDATE task SET completed = NOT completed, updated_at = ${new Date()}
      WHERE owner_id = ${owner} AND id = ${params.id} RETURNING ${columns}`;
    return answer(reply, rows);
  },
);

app.delete(
  "/api/v1/tasks/:id",
  { schema: { params } },
  async ({ owner, params }, reply) => {
    const { count } = await sql`DELETE FROM task WHERE owner_id = ${owner} AND id = ${params.id}`;
    return count ? reply.code(204).send() : answer(reply, []);
  },
);

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
