import { z } from 'zod';
import { headerName, name } from '#upstreams/fields.ts';

/** As it stands in paths, headers and media types. */
const versionName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,31}$/, 'write a version such as v2, at most 32 letters, digits, dots and dashes');

const mediaType = z
  .string()
  .regex(
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]*\{version\}[\w!#$&^.+-]*$/,
    'write a media type with {version} in it, such as application/vnd.shop.{version}+json',
  )
  .toLowerCase();

const group = z
  .strictObject({
    by: z
      .union(
        [
          z.literal('path'),
          z.strictObject({ header: headerName().describe('Request header that names the version.') }),
          z.strictObject({
            mediaType: mediaType.describe('Media type of `Accept`, such as `application/vnd.shop.{version}+json`.'),
          }),
        ],
        { error: "write 'path', { header: NAME } or { mediaType: application/vnd.NAME.{version}+json }" },
      )
      .describe('How a client says which version it wants: a segment of the `path`, a header, or a media type.'),
    known: z.array(versionName).min(1, 'name at least one version').max(32).describe('The versions that are served.'),
    default: versionName
      .optional()
      .describe(
        'What a client gets that names none; an error for it when left out. By path: what is served without the segment.',
      ),
  })
  .refine((written) => written.default === undefined || written.known.includes(written.default), {
    path: ['default'],
    error: 'is none of known; write one of them',
  });

/** Groups of routes that are versions of one API, by name. */
export const versionsSchema = z.record(name(), group).default({});

export type VersionsSettings = z.output<typeof versionsSchema>;

/** Of a route: the group it belongs to, and which of its versions it is. */
export const routeVersionSchema = z.strictObject({
  of: name().describe('Group under `versions`.'),
  is: versionName.describe('Which of the known versions this route serves.'),
});
