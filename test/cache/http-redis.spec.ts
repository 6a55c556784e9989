import { httpRules } from './http-rules.ts';
import { redisAlone } from './levels.ts';

httpRules(redisAlone());
