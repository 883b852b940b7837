import { defineConfig } from "orval";

export default defineConfig({
  api: {
    input: "openapi.json",
    output: {
      target: "generated/orval/api.ts",
      client: "fetch",
      mode: "split",
      baseUrl: {
        runtime: "baseUrl",
        imports: [{ name: "baseUrl", importPath: "../../settings" }],
      },
    },
  },
});
