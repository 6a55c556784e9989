import { FieldTransform } from './fields.ts';
import { HeaderTransform } from './header-fields.ts';
import { QueryTransform } from './query.ts';
import type { TransformSettings } from './settings.ts';

/** What a route changes of requests and answers, made ready once. What it does not change is undefined. */
export class Transform {
  readonly query: QueryTransform | undefined;
  readonly requestHeaders: HeaderTransform | undefined;
  readonly responseHeaders: HeaderTransform | undefined;
  readonly requestBody: FieldTransform | undefined;
  readonly responseBody: FieldTransform | undefined;

  constructor({ headers, query, body }: TransformSettings) {
    this.query = query && new QueryTransform(query);
    this.requestHeaders = headers?.request && new HeaderTransform(headers.request);
    this.responseHeaders = headers?.response && new HeaderTransform(headers.response);
    this.requestBody = body?.request && new FieldTransform(body.request);
    this.responseBody = body?.response && new FieldTransform(body.response);
  }
}
