-- The server's time in milliseconds, and how often its clock was stepped: {now, steps}
return {int(now_ms()), redis.call('GET', key.steps) or '0'}
