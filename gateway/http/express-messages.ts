import { IncomingMessage, ServerResponse, type ServerOptions } from 'node:http';
import type { Express } from 'express';
import { writePlainHead, type AnswerOfNode } from './plain-head.ts';

/** What Node calls to make the text of a head. */
interface HeadWriter {
  _storeHeader(firstLine: string, headers: object | undefined): void;
}

const node = ServerResponse.prototype as unknown as HeadWriter;

/**
 * Messages that have from birth the prototypes which an Express application gives to each that it handles: changing that of a
 * live object costs as much as a tenth of a small answer, and to set what is there already costs nothing.
 */
export function messagesOf(app: Express): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class Request extends IncomingMessage {}
  class Response extends ServerResponse implements HeadWriter {
    _storeHeader(firstLine: string, headers: object | undefined): void {
      if (headers && writePlainHead(this as unknown as AnswerOfNode, firstLine, headers)) return;
      node._storeHeader.call(this, firstLine, headers);
    }
  }
  app.request = Object.setPrototypeOf(Request.prototype, app.request) as typeof app.request;
  app.response = Object.setPrototypeOf(Response.prototype, app.response) as typeof app.response;
  return { IncomingMessage: Request, ServerResponse: Response as typeof ServerResponse };
}
