import { defineConfig } from "orval";

const client = (input: string, folder: string, settings: string) => ({
  input,
  output: {
    target: `generated/${folder}/api.ts`,
    client: "fetch" as const,
    mode: "split" as const,
    baseUrl: { runtime: "baseUrl", imports: [{ name: "baseUrl", importPath: settings }] },
  },
});

export default defineConfig({
  api: client("openapi.json", "orval", "../../settings"),
  courses: client("courses.json", "courses/orval", "../../../settings"),
});
