-- What time it is here, in milliseconds, and how often the clock was stepped. Answers {now, steps}
return {int(now_ms()), redis.call('GET', key.steps) or '0'}
