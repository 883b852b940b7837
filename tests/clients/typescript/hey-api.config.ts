import { defineConfig } from "@hey-api/openapi-ts";

// The command that generates says where the document and the client are.
export default defineConfig({
  input: "openapi.json",
  output: {
    path: "generated/hey-api",
    // It would delete all that is in the folder, and the folder belongs to somebody else.
    clean: false,
  },
  plugins: [
    "@hey-api/client-fetch",
    { name: "@hey-api/sdk", validator: { response: "zod" } },
    {
      name: "zod",
      $resolvers: {
        // Integers have 53 bits at most, and the types have numbers. For int64 it would have bigint.
        number: (context) => {
          context.schema = { ...context.schema, format: undefined };
          return undefined;
        },
      },
    },
  ],
});
