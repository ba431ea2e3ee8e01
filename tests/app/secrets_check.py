"""How many planted secrets are masked, and how many masks real trees get: `secrets_check.py KEYHOLE MODEL [--seed N] [--count N] [TREE...]`.

Plants secrets with fresh random values, each in a file of its own kind, and looks for every value in what `keyhole pack` prints: at least
95 % must be gone. Of each named tree all masks are printed, for eyes: what is no secret is a false mask, and there may be one in a thousand
files. The exit status speaks of the planted ones, and of the trees where none of their masks is a key or a password of a test
(--max-masks N: how many all trees together may have).
"""

import argparse
import base64
import json
import random
import re
import string
import subprocess
import sys
import tempfile
from pathlib import Path

ALNUM = string.ascii_letters + string.digits


def text(r, n, alphabet=ALNUM):
    while True:
        value = "".join(r.choice(alphabet) for _ in range(n))
        if any(c.isdigit() for c in value) and any(c.isalpha() for c in value):
            return value


def hexed(r, n):
    return text(r, n, "0123456789abcdef")


def based(r, n):
    return base64.b64encode(r.randbytes(n)).decode()


def password(r):
    return text(r, r.randint(10, 16), ALNUM + "!@%^*_-+")


def jwt(r):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return ".".join((part({"alg": "HS256", "typ": "JWT"}), part({"sub": str(r.getrandbits(40)), "name": text(r, 8)}),
                     base64.urlsafe_b64encode(r.randbytes(32)).decode().rstrip("=")))


def block(r, name, size):
    body = based(r, size)
    lines = "\n".join(body[i:i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"


# What is planted: a value, the file it stands in, and the line around it. The first groups are formats of services, the others
# are what people write by hand.
PLANTS = [
    (lambda r: "AKIA" + text(r, 16, string.ascii_uppercase + "234567"), "deploy/aws.tf", 'access_key = "{}"'),
    (lambda r: based(r, 30), "deploy/credentials", "aws_secret_access_key = {}"),
    (lambda r: based(r, 30), "src/s3.py", "AWS_SECRET_ACCESS_KEY = '{}'"),
    (lambda r: "ghp_" + text(r, 36), ".github/workflows/ci.yml", "      token: {}"),
    (lambda r: "github_pat_" + text(r, 22) + "_" + text(r, 59), "scripts/release.sh", "export GITHUB_TOKEN={}"),
    (lambda r: "glpat-" + text(r, 20), ".gitlab-ci.yml", "    - git clone https://oauth2:{}@gitlab.com/group/project.git"),
    (lambda r: f"xoxb-{r.randint(10**10, 10**11)}-{r.randint(10**11, 10**12)}-" + text(r, 24), "bot/main.js", 'const client = new WebClient("{}");'),
    (lambda r: f"T{text(r, 8, string.ascii_uppercase + string.digits)}/B{text(r, 8, string.ascii_uppercase + string.digits)}/{text(r, 24)}", "notify.sh",
     "curl -X POST https://hooks.slack.com/services/{}"),
    (lambda r: "sk-ant-api03-" + text(r, 93, ALNUM + "-_"), "agent.py", 'client = Anthropic(api_key="{}")'),
    (lambda r: "sk-proj-" + text(r, 48), "app/llm.ts", "const openai = new OpenAI({{ apiKey: '{}' }});"),
    (lambda r: "sk-" + text(r, 48), "notebook.py", 'openai.api_key = "{}"'),
    (lambda r: "AIza" + text(r, 35, ALNUM + "-_"), "android/strings.xml", '<string name="google_maps_key">{}</string>'),
    (lambda r: "sk_live_" + text(r, 24), "billing.rb", 'Stripe.api_key = "{}"'),
    (lambda r: "SG." + text(r, 22) + "." + text(r, 43), "mail.go", 'client := sendgrid.NewSendClient("{}")'),
    (lambda r: "npm_" + text(r, 36), ".npmrc", "//npm.example.com/:_authToken={}"),
    (lambda r: "hf_" + text(r, 34), "train.py", 'login(token="{}")'),
    (lambda r: "dop_v1_" + hexed(r, 64), "infra/do.tf", 'variable "token" {{ default = "{}" }}'),
    (lambda r: "pypi-AgEIcHlwaS5vcmc" + text(r, 80, ALNUM + "-_"), "publish.sh", "TWINE_PASSWORD={} twine upload dist/*"),
    (lambda r: str(r.randint(10**8, 10**10 - 1)) + ":AA" + text(r, 33, ALNUM + "-_"), "telegram.py", 'bot = Bot("{}")'),
    (lambda r: base64.b64encode(str(r.randint(10**17, 10**18)).encode()).decode() + "." + text(r, 6) + "." + text(r, 27), "discord.js", "client.login('{}');"),
    (lambda r: "SK" + hexed(r, 32), "twilio.php", "$key = '{}';"),
    (lambda r: hexed(r, 32), "twilio2.php", "$auth_token = '{}';"),
    (lambda r: "key-" + hexed(r, 32), "mailgun.py", 'auth=("api", "{}")'),
    (lambda r: hexed(r, 32), "datadog.yaml", "api_key: {}"),
    (lambda r: "glsa_" + text(r, 32) + "_" + hexed(r, 8), "grafana.yml", "  service_token: {}"),
    (lambda r: "hvs." + text(r, 90), "vault.sh", 'export VAULT_TOKEN="{}"'),
    (lambda r: text(r, 14) + ".atlasv1." + text(r, 60), ".terraformrc", '  token = "{}"'),
    (lambda r: "AGE-SECRET-KEY-1" + text(r, 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"), "age.txt", "{}"),
    (lambda r: "EAAC" + text(r, 120), "facebook.py", "access_token='{}'"),
    (lambda r: "shpat_" + hexed(r, 32), "shop.rb", "  token: '{}',"),
    (lambda r: "lin_api_" + text(r, 40), "linear.ts", 'const linear = new LinearClient({{ apiKey: "{}" }})'),
    (lambda r: "sntrys_" + based(r, 60), ".sentryclirc", "token={}"),
    (lambda r: "dapi" + hexed(r, 32), "databricks.cfg", "token = {}"),
    (lambda r: "NRAK-" + text(r, 27, string.ascii_uppercase + string.digits), "newrelic.js", "  license_key: '{}',"),
    (lambda r: text(r, 32) + "==", "azure.config", 'DefaultEndpointsProtocol=https;AccountName=store;AccountKey={};EndpointSuffix=core.windows.net'),
    (lambda r: jwt(r), "curl.sh", 'curl -H "Authorization: Bearer {}" https://api.internal/v1/me'),
    (lambda r: jwt(r), "fixtures/session.json", '  "session": "{}",'),
    (lambda r: block(r, "RSA PRIVATE KEY", 600), "certs/server.key.txt", "{}"),
    (lambda r: block(r, "OPENSSH PRIVATE KEY", 300), "keys.md", "{}"),
    (lambda r: block(r, "PGP PRIVATE KEY BLOCK", 500), "signing.txt", "{}"),
    (lambda r: block(r, "PRIVATE KEY", 200).replace("\n", "\\n"), "service-account.json", '  "private_key": "{}",'),
    (lambda r: password(r).replace("@", "x"), "config/database.yml", "  url: postgres://app:{}@db.internal:5432/prod"),
    (lambda r: text(r, 14), "settings.py", 'REDIS = "redis://:{}@cache:6379/0"'),
    (lambda r: text(r, 16), "mongo.js", 'mongoose.connect("mongodb+srv://service:{}@cluster0.ab1cd.mongodb.net/app")'),
    (lambda r: text(r, 12), "docker-compose.yml", "      - AMQP_URL=amqp://worker:{}@rabbit:5672/"),
    (lambda r: password(r), "application.properties", "spring.datasource.password={}"),
    (lambda r: password(r), "config.prod.env.txt", "DB_PASSWORD={}"),
    (lambda r: password(r), "settings.yml", "password: '{}'"),
    (lambda r: password(r), "app.ini", "smtp_password = {}"),
    (lambda r: password(r), "web.config", '<add key="AdminPassword" value="{}" />'),
    (lambda r: password(r), "conn.cs", 'var c = "Server=sql1;Database=app;User Id=svc;Password={};";'),
    (lambda r: password(r), "login.java", 'private static final String PASSWORD = "{}";'),
    (lambda r: password(r), "wp-config.php", "define('DB_PASSWORD', '{}');"),
    (lambda r: password(r), "playbook.yml", "    ansible_become_pass: {}"),
    (lambda r: password(r), "db.go", 'os.Setenv("PGPASSWORD", "{}")'),
    (lambda r: password(r), "tool.sh", "mysql -u root -p'{}' app < dump.sql"),
    (lambda r: text(r, 50, ALNUM + "!@#$%^&*(-_=+)"), "project/settings.py", "SECRET_KEY = 'django-insecure-{}'"),
    (lambda r: hexed(r, 128), "config/secrets.yml", "  secret_key_base: {}"),
    (lambda r: hexed(r, 64), "server.js", "app.use(session({{ secret: '{}' }}));"),
    (lambda r: based(r, 32), "appsettings.json", '    "JwtSecret": "{}",'),
    (lambda r: text(r, 40), "oauth.py", 'client_secret="{}",'),
    (lambda r: text(r, 32), "app.toml", 'api_token = "{}"'),
    (lambda r: hexed(r, 40), "ci.groovy", "withEnv(['SONAR_TOKEN={}']) {{ sh 'make' }}"),
    (lambda r: text(r, 36), "Dockerfile", "ENV API_SECRET={}"),
    (lambda r: hexed(r, 32), "weather.rs", 'const API_KEY: &str = "{}";'),
    (lambda r: text(r, 40), "values.yaml", "  encryptionKey: {}"),
    (lambda r: hexed(r, 48), "Makefile", "DEPLOY_KEY := {}"),
    (lambda r: text(r, 32), "index.html", '<meta name="api-key" content="{}">'),
    (lambda r: text(r, 44), "kube.yaml", "    token: {}"),
    (lambda r: based(r, 24), "basic.http", "Authorization: Basic {}"),
    (lambda r: text(r, 32), "call.sh", 'curl -H "X-Api-Key: {}" https://api.example.org/items'),
    (lambda r: text(r, 40), "fetch.ts", 'fetch(url, {{ headers: {{ "x-auth-token": "{}" }} }})'),
]

# A second set: any value in any form. Values of services, and of people; forms of files.
UPPER = string.ascii_uppercase + string.digits
LOWER = string.ascii_lowercase + string.digits


def uuid(r):
    h = hexed(r, 32)
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def strong_password(r):
    while True:
        value = text(r, r.randint(12, 24), ALNUM + "!@%^*_-+.~?")
        if any(c in string.ascii_lowercase for c in value) and any(c in string.ascii_uppercase for c in value):
            return value


# (what a person calls it, the value): what services give out, in their form.
SERVICE_VALUES = [
    ("AWS_ACCESS_KEY_ID", lambda r: "ASIA" + text(r, 16, string.ascii_uppercase + "234567")),
    ("AWS_SESSION_TOKEN", lambda r: "IQoJb3JpZ2luX2Vj" + based(r, 180)),
    ("GITLAB_RUNNER_TOKEN", lambda r: "glrt-" + text(r, 20)),
    ("CI_JOB_TOKEN", lambda r: "glcbt-" + text(r, 22)),
    ("SLACK_APP_TOKEN", lambda r: "xapp-1-A" + text(r, 10, UPPER) + "-" + text(r, 13, string.digits + "a") + "-" + hexed(r, 64)),
    ("OPENROUTER_KEY", lambda r: "sk-or-v1-" + hexed(r, 64)),
    ("DEEPSEEK_KEY", lambda r: "sk-" + hexed(r, 32)),
    ("GROQ_KEY", lambda r: "gsk_" + text(r, 52)),
    ("NVIDIA_KEY", lambda r: "nvapi-" + text(r, 64, ALNUM + "-_")),
    ("PINECONE_KEY", lambda r: "pcsk_" + text(r, 6) + "_" + text(r, 50)),
    ("TAVILY_KEY", lambda r: "tvly-" + text(r, 32)),
    ("LANGSMITH_KEY", lambda r: "lsv2_pt_" + hexed(r, 32) + "_" + hexed(r, 10)),
    ("STRIPE_HOOK", lambda r: "whsec_" + text(r, 32)),
    ("STRIPE_RESTRICTED", lambda r: "rk_live_" + text(r, 24)),
    ("RAZORPAY", lambda r: "rzp_live_" + text(r, 14)),
    ("SQUARE", lambda r: "EAAA" + text(r, 60, ALNUM + "-_")),
    ("PLAID", lambda r: "access-production-" + uuid(r)),
    ("DOPPLER", lambda r: "dp.pt." + text(r, 43)),
    ("PULUMI", lambda r: "pul-" + hexed(r, 40)),
    ("NETLIFY", lambda r: "nfp_" + text(r, 36)),
    ("FLY", lambda r: "fo1_" + text(r, 43, ALNUM + "-_")),
    ("SONAR", lambda r: "sqp_" + hexed(r, 40)),
    ("NUGET", lambda r: "oy2" + text(r, 43, LOWER)),
    ("CRATES", lambda r: "cio" + text(r, 32)),
    ("BUILDKITE", lambda r: "bkua_" + hexed(r, 40)),
    ("CIRCLE", lambda r: "CCIPAT_" + text(r, 22) + "_" + hexed(r, 40)),
    ("SENTRY_AUTH", lambda r: "sntryu_" + hexed(r, 64)),
    ("POSTHOG_PERSONAL", lambda r: "phx_" + text(r, 43)),
    ("AIRTABLE", lambda r: "pat" + text(r, 14) + "." + hexed(r, 64)),
    ("NOTION", lambda r: "ntn_" + text(r, 46)),
    ("HUBSPOT", lambda r: "pat-na1-" + uuid(r)),
    ("BREVO", lambda r: "xkeysib-" + hexed(r, 64) + "-" + text(r, 16)),
    ("RESEND", lambda r: "re_" + text(r, 8) + "_" + text(r, 24)),
    ("MAILGUN", lambda r: "key-" + hexed(r, 32)),
    ("VAULT", lambda r: "hvs.CAES" + text(r, 90, ALNUM + "-_")),
    ("PLANETSCALE", lambda r: "pscale_tkn_" + text(r, 43, ALNUM + "-_")),
    ("NEON", lambda r: "napi_" + text(r, 64, LOWER)),
    ("SUPABASE", lambda r: "sb_secret_" + text(r, 22) + "_" + text(r, 8)),
    ("ATLASSIAN", lambda r: "ATATT3xFfGF0" + text(r, 170, ALNUM + "-_") + "=" + text(r, 8, UPPER)),
    ("TAILSCALE", lambda r: "tskey-auth-k" + text(r, 11) + "CNTRL-" + text(r, 32)),
    ("ALIBABA", lambda r: "LTAI" + text(r, 20)),
    ("TENCENT", lambda r: "AKID" + text(r, 32)),
    ("YANDEX", lambda r: "y0_" + text(r, 55, ALNUM + "-_")),
    ("TYPEFORM", lambda r: "tfp_" + text(r, 59, ALNUM + "-_.")),
    ("GOOGLE_REFRESH", lambda r: "1//0" + text(r, 60, ALNUM + "-_")),
    ("GOOGLE_CLIENT", lambda r: "GOCSPX-" + text(r, 28, ALNUM + "-_")),
    ("APIFY", lambda r: "apify_api_" + text(r, 36)),
    ("DOCKER_PAT", lambda r: "dckr_pat_" + text(r, 27, ALNUM + "-_")),
    ("FIGMA", lambda r: "figd_" + text(r, 40, ALNUM + "-_")),
    ("LINEAR_OAUTH", lambda r: "lin_oauth_" + hexed(r, 64)),
]
SERVICE_FORMS = [
    ("{d}/.travis.yml", "    - {n}={v}"), ("{d}/main.kt", "    val client = connect(\"{v}\")"), ("{d}/Service.swift", "let service = Service(\"{v}\")"),
    ("{d}/run.md", "Start it with `tool --with {v}`."), ("{d}/app.ex", "config :app, :{n}, \"{v}\""), ("{d}/x.lua", "local x = '{v}'"),
    ("{d}/notes.txt", "{n}: {v}"), ("{d}/conf.json", "  \"{n}\": \"{v}\","), ("{d}/q.sql", "INSERT INTO settings VALUES ('{n}', '{v}');"),
    ("{d}/a.ps1", "$env:{n} = \"{v}\""), ("{d}/a.bat", "set {n}={v}"), ("{d}/c.scala", "val c = new C(\"{v}\")"), ("{d}/e.r", "Sys.setenv({n} = \"{v}\")"),
    ("{d}/f.dart", "const f = '{v}';"), ("{d}/compose.yaml", "      {n}: {v}"), ("{d}/k.pl", "my $k = '{v}';"),
]
# What people choose or a generator makes, where the name says what it is.
NAMED = [
    ("password", strong_password, ["db_password", "POSTGRES_PASSWORD", "smtp.password", "rootPassword", "LDAP_BIND_PASSWORD", "keystorePassword"]),
    ("hex key", lambda r: hexed(r, 32), ["API_KEY", "apiKey", "algolia_api_key", "OCP_SUBSCRIPTION_KEY"]),
    ("token", lambda r: text(r, 40), ["authToken", "ACCESS_TOKEN", "refresh_token", "bot_token"]),
    ("base64 secret", lambda r: based(r, 32), ["clientSecret", "JWT_SECRET", "webhook_secret", "cookieSecret", "encryption_key"]),
]
NAMED_FORMS = [
    ("{d}/dev.env", "{n}={v}"), ("{d}/dev.env", "export {n}='{v}'"), ("{d}/x.yaml", "{n}: \"{v}\""), ("{d}/x.yml", "  {n}: {v}"),
    ("{d}/x.json", "  \"{n}\": \"{v}\","), ("{d}/x.toml", "{n} = \"{v}\""), ("{d}/x.ini", "{n} = {v}"), ("{d}/x.properties", "app.{n}={v}"),
    ("{d}/x.xml", "  <{n}>{v}</{n}>"), ("{d}/x.xml", "  <property name=\"{n}\" value=\"{v}\"/>"), ("{d}/strings.xml", "  <string name=\"{n}\">{v}</string>"),
    ("{d}/Dockerfile", "ENV {n} {v}"), ("{d}/Dockerfile", "ARG {n}={v}"), ("{d}/main.tf", "variable \"{n}\" {{\n  default = \"{v}\"\n}}"),
    ("{d}/main.tf", "  {n} = \"{v}\""), ("{d}/deploy.yaml", "        - name: {n}\n          value: \"{v}\""), ("{d}/run.sh", "tool --{n} {v} start"),
    ("{d}/run.sh", "tool --{n}={v} start"), ("{d}/a.py", "{n} = \"{v}\""), ("{d}/a.py", "os.environ[\"{n}\"] = \"{v}\""), ("{d}/a.py", "connect(user=\"app\", {n}=\"{v}\")"),
    ("{d}/a.js", "  {n}: '{v}',"), ("{d}/a.ts", "private readonly {n}: string = '{v}';"), ("{d}/A.java", "    private static final String {n} = \"{v}\";"),
    ("{d}/a.go", "\t{n} := \"{v}\""), ("{d}/a.rs", "let {n} = \"{v}\".to_string();"), ("{d}/a.rb", "  {n}: \"{v}\","), ("{d}/a.php", "'{n}' => '{v}',"),
    ("{d}/a.cs", "builder.Configuration[\"{n}\"] = \"{v}\";"), ("{d}/a.kt", "const val {n} = \"{v}\""), ("{d}/a.swift", "let {n} = \"{v}\""),
    ("{d}/a.c", "#define {n} \"{v}\""), ("{d}/Info.plist", "  <key>{n}</key>\n  <string>{v}</string>"), ("{d}/a.cpp", "setenv(\"{n}\", \"{v}\", 1);"),
    ("{d}/log.txt", "body: {{\\\"{n}\\\": \\\"{v}\\\"}}"), ("{d}/site.conf", "SetEnv {n} {v}"), ("{d}/vars.yml", "{n}: '{v}'  # production"), ("{d}/README.md", "    {n}={v} make deploy"),
]
# Forms that belong to one thing.
SINGLE = [
    (strong_password, "{d}/notes.txt", "jdbc:mysql://db.internal:3306/app?user=svc&password={v}"),
    (lambda r: text(r, 18), "{d}/dsn.py", "DSN = 'host=db user=app password={v} dbname=app'"),
    (lambda r: text(r, 16), "{d}/cache.conf", "requirepass {v}"),
    (lambda r: text(r, 20), "{d}/fetch.sh", "curl -u svc:{v} https://files.internal/report.csv"),
    (strong_password, "{d}/copy.sh", "sshpass -p '{v}' scp a.txt host:/tmp"),
    (lambda r: text(r, 20), "{d}/login.txt", "machine git.internal login bot password {v}"),
    (strong_password, "{d}/a.cs", "var cs = \"Data Source=srv;Initial Catalog=app;User ID=sa;Pwd={v}\";"),
    (lambda r: based(r, 32), "{d}/wg0.conf", "PrivateKey = {v}"),
    (lambda r: based(r, 32), "{d}/wg0.conf", "PresharedKey = {v}"),
    (lambda r: text(r, 18), "{d}/wpa.conf", "    psk=\"{v}\""),
    (lambda r: hexed(r, 32), "{d}/master.key", "{v}"),
    (lambda r: text(r, 36), "{d}/go.sh", "git clone https://{v}@git.internal/team/repo.git"),
    (lambda r: text(r, 43).replace("=", "a") + "%3D", "{d}/blob.txt", "https://store.blob.core.windows.net/c/b?sv=2022-11-02&sig={v}&se=2030"),
    (lambda r: text(r, 39), "{d}/map.html", "<script src=\"https://maps.internal/js?api_key={v}&v=3\"></script>"),
    (jwt, "{d}/a.http", "Cookie: session={v}"),
    (strong_password, "{d}/Conn.java", "    config.setPassword(\"{v}\");"),
    (lambda r: text(r, 40), "{d}/Conn.java", "    return builder.apiKey(\"{v}\").build();"),
    (lambda r: text(r, 16), "{d}/mail.txt", "smtp://mailer:{v}@smtp.internal:587"),
    (lambda r: block(r, "EC PRIVATE KEY", 120).replace("\n", "\n    "), "{d}/secret.yaml", "  tls.key: |\n    {v}"),
    (lambda r: block(r, "ENCRYPTED PRIVATE KEY", 500), "{d}/k.txt", "{v}"),
    (lambda r: "\\n\" +\n    \"".join(block(r, "RSA PRIVATE KEY", 400).split("\n")), "{d}/K.java", "String k = \"{v}\";"),
    (lambda r: base64.b64encode(("svc:" + text(r, 20)).encode()).decode(), "{d}/config.json", "  \"auths\": {{\"registry.internal\": {{\"auth\": \"{v}\"}}}}"),
]


def fresh(r, count):
    """A third each: services' values in any form, named values in any form, forms of one thing."""
    for i in range(count):
        if i % 3 == 0:
            name, make = r.choice(SERVICE_VALUES)
            path, line = r.choice(SERVICE_FORMS)
            value = make(r)
        elif i % 3 == 1:
            _, make, names = r.choice(NAMED)
            name, value = r.choice(names), make(r)
            path, line = r.choice(NAMED_FORMS)
        else:
            make, path, line = r.choice(SINGLE)
            name, value = "", make(r)
        yield value, path.format(d="src"), line.replace("{n}", name).replace("{v}", "\0").replace("{{", "{").replace("}}", "}").replace("\0", value)


FILLER = ["# settings of the service", "name: example", "retries = 3", "import os", "// reads the configuration", "timeout: 30",
          "def main():", "    return 0", "log_level = info", "path = /var/lib/app", "version 1.4.2"]


def packed(program, model, folder):
    done = subprocess.run([program, "pack", str(folder), "-m", model], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{folder}: {done.stderr.decode()}")
    return done.stdout.decode()


def listed(r, count):
    for i in range(count):
        make, path, line = PLANTS[i % len(PLANTS)]
        value = make(r)
        yield value, path, line.format(value)


def planted(program, model, seed, count, what, plants):
    r = random.Random(seed)
    missed = []
    with tempfile.TemporaryDirectory() as temp:
        values = []
        for i, (value, path, line) in enumerate(plants(r, count)):
            file = Path(temp) / f"{i:03}" / path
            file.parent.mkdir(parents=True)
            lines = r.sample(FILLER, 4)
            lines.insert(r.randint(0, 4), line)
            if path.endswith("master.key"):  # holds the key alone
                lines = [line]
            file.write_text("\n".join(lines) + "\n")
            values.append((path, line, value))
        out = packed(program, model, temp)
        for path, line, value in values:
            # A long value is as good as shown when its middle is.
            middle = value if len(value) < 40 else value[len(value) // 3:len(value) * 2 // 3]
            if middle in out:
                missed.append((path, line[:110].replace("\n", " | ")))
    for path, line in missed:
        print(f"not masked: {path}: {line}")
    print(f"seed {seed}: {count - len(missed)} of {count} {what} masked ({100 * (count - len(missed)) / count:.1f} %)")
    return len(missed) <= count * 0.05


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("trees", nargs="*")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 10**6))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--max-masks", type=int)
    args = parser.parse_intermixed_args()
    good = planted(args.program, args.model, args.seed, args.count, "planted secrets", listed)
    good = planted(args.program, args.model, args.seed, args.count, "secrets in mixed forms", fresh) and good
    files = masks = 0
    for tree in args.trees:
        out = packed(args.program, args.model, tree)
        here = re.findall(r"^.*«secret: .*$", out, re.M)
        count = len(re.findall(r"^<file-[0-9a-f]{8} path=", out, re.M))
        for line in here:
            print(f"{Path(tree).name}: {line.strip()[:160]}")
        print(f"{tree}: {count} files, {len(here)} lines with masks")
        files += count
        masks += len(here)
    if args.trees:
        print(f"{files} files in {len(args.trees)} trees, {masks} lines with masks")
        good = good and (args.max_masks is None or masks <= args.max_masks)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
