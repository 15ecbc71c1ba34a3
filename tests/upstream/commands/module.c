// A module with commands that no table knows: zz.read reads a key, zz.admin is administrative and
// counts in zz:ran how often it has run. It declares the few functions of Redis's module API that it
// uses, so that it needs no header.
typedef struct Context Context;
typedef struct String String;
typedef int Command(Context *, String **, int);

static int (*create)(Context *, const char *, Command *, const char *, int, int, int);
static int (*reply_number)(Context *, long long);
static void *(*call)(Context *, const char *, const char *, ...);
static void (*set_attributes)(Context *, const char *, int, int);

static int zz_read(Context *context, String **arguments, int count) {
    (void)arguments;
    return reply_number(context, count);
}

static int zz_admin(Context *context, String **arguments, int count) {
    (void)arguments;
    call(context, "INCR", "c", "zz:ran");
    return reply_number(context, count);
}

int RedisModule_OnLoad(Context *context, String **arguments, int count) {
    (void)arguments;
    (void)count;
    // The server passes the function that finds all others at the start of the context.
    int (*find)(const char *, void *) = *(int (**)(const char *, void *))context;
    find("RedisModule_SetModuleAttribs", &set_attributes);
    find("RedisModule_CreateCommand", &create);
    find("RedisModule_ReplyWithLongLong", &reply_number);
    find("RedisModule_Call", &call);
    set_attributes(context, "zz", 1, 1);
    if (create(context, "zz.read", zz_read, "readonly", 1, 1, 1)) return 1;
    return create(context, "zz.admin", zz_admin, "admin write", 0, 0, 0);
}
