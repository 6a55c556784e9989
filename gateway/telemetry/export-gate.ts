import { ExportResultCode, type ExportResult } from '@opentelemetry/core';

interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void;
}

/**
 * Ends exporting for good. The SDK flushes what is queued batch by batch, and waits for each one's timeout: with a receiver
 * that does not answer, a process would outlive its shutdown by minutes.
 */
export class ExportGate {
  #closed = false;

  /** Puts `exporter` behind the gate. */
  guard<T, E extends Exporter<T>>(exporter: E & Exporter<T>): E {
    const send = exporter.export.bind(exporter);
    exporter.export = (items, done) => {
      if (this.#closed) done({ code: ExportResultCode.FAILED, error: new Error('the gateway has shut down') });
      else send(items, done);
    };
    return exporter;
  }

  close(): void {
    this.#closed = true;
  }
}
