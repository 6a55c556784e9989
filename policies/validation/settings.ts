import { z } from 'zod';

/** What of a route is held to the OpenAPI document of its upstream. */
export const validateSchema = z.strictObject({
  request: z
    .enum(['enforce', 'log', 'off'])
    .default('off')
    .describe(
      'Requests that the document does not allow: `enforce` refuses them (REQUEST_INVALID, UNSUPPORTED_MEDIA_TYPE, and 404 ' +
        'or 405 for what it does not have), `log` counts them. JSON bodies are held whole for it, within `maxBodyBytes`.',
    ),
  response: z
    .enum(['log', 'off'])
    .default('off')
    .describe(
      'Answers that are not as the document says: `log` counts them, by place. They are passed on in any case.',
    ),
  sample: z
    .number({ error: 'write a share such as 0.01' })
    .min(0)
    .max(1)
    .default(0.01)
    .describe('Share of the answers that are looked at; up to 256KiB of each.'),
});

export type ValidateSettings = z.output<typeof validateSchema>;
