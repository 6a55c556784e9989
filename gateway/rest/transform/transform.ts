import { FieldTransform } from './fields.ts';
import { HeaderTransform } from './header-fields.ts';
import { QueryTransform } from './query.ts';
import { Template } from '../template.ts';
import { templatesOf, type TransformSettings } from './settings.ts';

/** What a route changes of requests and answers, made ready once. What it does not change is undefined. */
export class Transform {
  readonly query: QueryTransform | undefined;
  readonly requestHeaders: HeaderTransform | undefined;
  readonly responseHeaders: HeaderTransform | undefined;
  readonly requestBody: FieldTransform | undefined;
  readonly responseBody: FieldTransform | undefined;
  /**
   * Two clients that ask for the same URL may get different answers by it, which nobody who sees the answers alone can tell.
   * What an upstream is told in fields is not meant: it knows of that, and can say whom its answer is for.
   */
  readonly differs: boolean;

  constructor(settings: TransformSettings) {
    const { headers, query, body } = settings;
    this.query = query && new QueryTransform(query);
    this.requestHeaders = headers?.request && new HeaderTransform(headers.request);
    this.responseHeaders = headers?.response && new HeaderTransform(headers.response);
    this.requestBody = body?.request && new FieldTransform(body.request);
    this.responseBody = body?.response && new FieldTransform(body.response);
    this.differs = templatesOf(settings).some(
      ([[, part], text]) => part !== 'request' && new Template(text).readsClient,
    );
  }
}
