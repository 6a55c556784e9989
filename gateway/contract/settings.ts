import { z } from 'zod';
import { requirementSchema } from '#policies/auth/settings.ts';

/** The OpenAPI document of what is served over REST, and the page that shows it. */
export const contractSchema = z.strictObject({
  enabled: z.boolean().default(true).describe('Serve `/openapi.json`, the OpenAPI document of all REST routes.'),
  page: z.boolean().default(true).describe('Serve `/docs`, a page that shows the document to people.'),
  title: z.string().min(1).max(200).default('API').describe('Title of the document.'),
  version: z
    .string()
    .min(1)
    .max(100)
    .default('1')
    .describe('Version of the document, its own and not that of OpenAPI.'),
  description: z.string().max(10_000).default('').describe('What stands above the operations, in Markdown.'),
  url: z
    .url({ protocol: /^https?$/, error: 'write an http:// or https:// URL' })
    .optional()
    .describe(
      'Where clients reach the gateway, such as https://api.example.com; relative to the document when left out.',
    ),
  auth: requirementSchema.optional().describe('Who may read both; everybody when left out.'),
});
