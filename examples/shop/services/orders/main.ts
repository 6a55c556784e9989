import { run } from '../kit/process.ts';
import { start } from './service.ts';

await run('orders', start);
