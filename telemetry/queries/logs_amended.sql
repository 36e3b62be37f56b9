-- Whether anything was amended.
SELECT toInt64(count()) AS amended FROM amendments WHERE target = 'log' AND {{amendments_scope}}
