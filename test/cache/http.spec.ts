import { httpRules } from './http-rules.ts';
import { memory } from './levels.ts';

httpRules(memory);
