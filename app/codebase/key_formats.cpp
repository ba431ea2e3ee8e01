#include "app/codebase/key_formats.h"

#include <cctype>

namespace app::codebase {
namespace {

constexpr size_t kAny = 4096;
constexpr KeyFormat kFormats[] = {
    {"AKIA", Alphabet::upper, 16, 16, "AWS key", false},
    {"ASIA", Alphabet::upper, 16, 16, "AWS key", false},
    {"ABIA", Alphabet::upper, 16, 16, "AWS key"},
    {"ACCA", Alphabet::upper, 16, 16, "AWS key"},
    {"ghp_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"gho_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghu_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghs_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghr_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"github_pat_", Alphabet::word, 22, kAny, "GitHub token"},
    {"glpat-", Alphabet::url, 20, kAny, "GitLab token"},
    {"gldt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glptt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glrt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"xoxb-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxa-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxp-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxr-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxs-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxe-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxe.xox", Alphabet::url, 20, kAny, "Slack token"},
    {"xapp-", Alphabet::url, 20, kAny, "Slack token"},
    {"sk-ant-", Alphabet::url, 20, kAny, "Anthropic key"},
    {"sk-proj-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-svcacct-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-admin-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-or-v1-", Alphabet::hex, 32, kAny, "OpenRouter key"},
    {"sk-", Alphabet::alnum, 32, kAny, "API key"},
    {"AIza", Alphabet::url, 35, 35, "Google key"},
    {"GOCSPX-", Alphabet::url, 20, kAny, "Google secret"},
    {"ya29.", Alphabet::url, 20, kAny, "Google token"},
    {"sk_live_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"sk_test_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"rk_live_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"rk_test_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"whsec_", Alphabet::alnum, 24, kAny, "webhook secret"},
    {"npm_", Alphabet::alnum, 36, kAny, "npm token"},
    {"pypi-", Alphabet::url, 50, kAny, "PyPI token"},
    {"rubygems_", Alphabet::hex, 40, kAny, "RubyGems key"},
    {"dckr_pat_", Alphabet::url, 20, kAny, "Docker token"},
    {"hf_", Alphabet::alnum, 30, kAny, "Hugging Face token", false},
    {"shpat_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shpca_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shppa_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shpss_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"dop_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"doo_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"dor_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"NRAK-", Alphabet::upper, 27, 27, "New Relic key"},
    {"dapi", Alphabet::hex, 32, 34, "Databricks token"},
    {"lin_api_", Alphabet::alnum, 30, kAny, "Linear key"},
    {"ntn_", Alphabet::alnum, 30, kAny, "Notion token"},
    {"figd_", Alphabet::url, 30, kAny, "Figma token"},
    {"hvs.", Alphabet::url, 24, kAny, "Vault token"},
    {"hvb.", Alphabet::url, 24, kAny, "Vault token"},
    {"pscale_tkn_", Alphabet::url, 30, kAny, "PlanetScale token"},
    {"pscale_pw_", Alphabet::url, 30, kAny, "PlanetScale password"},
    {"AGE-SECRET-KEY-1", Alphabet::upper, 50, kAny, "age key"},
    {"sq0csp-", Alphabet::url, 40, kAny, "Square secret"},
    {"sq0atp-", Alphabet::url, 20, kAny, "Square token"},
    {"gsk_", Alphabet::alnum, 40, kAny, "Groq key"},
    {"xai-", Alphabet::alnum, 60, kAny, "xAI key"},
    {"r8_", Alphabet::alnum, 36, kAny, "Replicate token"},
    {"pplx-", Alphabet::alnum, 40, kAny, "Perplexity key"},
    {"PMAK-", Alphabet::url, 40, kAny, "Postman key"},
    {"sntrys_", Alphabet::word, 40, kAny, "Sentry token"},
    {"glsa_", Alphabet::word, 30, kAny, "Grafana token"},
    {"glc_", Alphabet::word, 30, kAny, "Grafana token"},
    {"ATATT3", Alphabet::url, 60, kAny, "Atlassian token"},
    {"ATBB", Alphabet::alnum, 28, kAny, "Bitbucket token"},
    {"tskey-", Alphabet::url, 20, kAny, "Tailscale key"},
    {"sbp_", Alphabet::hex, 40, kAny, "Supabase token"},
    {"CFPAT-", Alphabet::url, 40, kAny, "Contentful token"},
    {"EAACEdEose0cBA", Alphabet::alnum, 20, kAny, "Facebook token"},
    {"key-", Alphabet::hex, 32, 32, "Mailgun key"},
    {"SK", Alphabet::hex, 32, 32, "Twilio key"},
    {"secret_", Alphabet::alnum, 43, 43, "Notion token"},
    {"dt0c01.", Alphabet::alnum, 24, kAny, "Dynatrace token"},
    {"eyJ", Alphabet::url, 10, kAny, "JSON web token"},
    {"SG.", Alphabet::url, 16, kAny, "SendGrid key"},
    {"EAA", Alphabet::alnum, 80, kAny, "Facebook token"},
    {"glcbt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glft-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glsoat-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glimt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glagent-", Alphabet::url, 20, kAny, "GitLab token"},
    {"GR1348941", Alphabet::url, 20, kAny, "GitLab token"},
    {"xoxc-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxd-", Alphabet::url, 20, kAny, "Slack token"},
    {"sk-lf-", Alphabet::url, 30, kAny, "Langfuse key"},
    {"lsv2_pt_", Alphabet::word, 30, kAny, "LangSmith key"},
    {"lsv2_sk_", Alphabet::word, 30, kAny, "LangSmith key"},
    {"nvapi-", Alphabet::url, 40, kAny, "NVIDIA key"},
    {"pcsk_", Alphabet::word, 30, kAny, "Pinecone key"},
    {"tvly-", Alphabet::url, 24, kAny, "Tavily key"},
    {"jina_", Alphabet::alnum, 40, kAny, "Jina key"},
    {"esecret_", Alphabet::alnum, 20, kAny, "Anyscale key"},
    {"dp.pt.", Alphabet::alnum, 40, kAny, "Doppler token"},
    {"dp.st.", Alphabet::key, 40, kAny, "Doppler token"},
    {"dp.ct.", Alphabet::alnum, 40, kAny, "Doppler token"},
    {"ops_eyJ", Alphabet::url, 40, kAny, "1Password token"},
    {"pul-", Alphabet::hex, 40, 40, "Pulumi token"},
    {"rnd_", Alphabet::alnum, 28, kAny, "Render key"},
    {"FlyV1 ", Alphabet::base64, 40, kAny, "Fly token"},
    {"fo1_", Alphabet::url, 40, kAny, "Fly token"},
    {"fm1_", Alphabet::base64, 60, kAny, "Fly token"},
    {"fm2_", Alphabet::base64, 60, kAny, "Fly token"},
    {"nfp_", Alphabet::alnum, 36, kAny, "Netlify token"},
    {"oy2", Alphabet::alnum, 43, 43, "NuGet key"},
    {"AKCp", Alphabet::alnum, 60, 75, "Artifactory key"},
    {"cmVmdGtuO", Alphabet::alnum, 50, 60, "Artifactory token"},
    {"CLOJARS_", Alphabet::alnum, 60, kAny, "Clojars token"},
    {"ATCTT3", Alphabet::url, 60, kAny, "Atlassian token"},
    {"HRKU-", Alphabet::url, 30, kAny, "Heroku key"},
    {"EAAA", Alphabet::url, 56, 64, "Square token"},
    {"access_token$production$", Alphabet::alnum, 40, kAny, "Braintree token"},
    {"amzn.mws.", Alphabet::url, 32, 40, "Amazon MWS token"},
    {"bkua_", Alphabet::hex, 40, 40, "Buildkite token"},
    {"CCIPAT_", Alphabet::word, 40, kAny, "CircleCI token"},
    {"CCIPRJ_", Alphabet::word, 40, kAny, "CircleCI token"},
    {"sqp_", Alphabet::hex, 40, 40, "SonarQube token"},
    {"squ_", Alphabet::hex, 40, 40, "SonarQube token"},
    {"sqa_", Alphabet::hex, 40, 40, "SonarQube token"},
    {"NRII-", Alphabet::url, 32, kAny, "New Relic key"},
    {"NRJS-", Alphabet::hex, 19, kAny, "New Relic key"},
    {"sntryu_", Alphabet::hex, 60, kAny, "Sentry token"},
    {"phx_", Alphabet::alnum, 40, kAny, "PostHog key"},
    {"sgp_", Alphabet::word, 40, kAny, "Sourcegraph token"},
    {"tfp_", Alphabet::key, 40, kAny, "Typeform token"},
    {"pat", Alphabet::key, 79, 79, "Airtable token"},
    {"lin_oauth_", Alphabet::hex, 60, kAny, "Linear token"},
    {"ATTA", Alphabet::hex, 60, kAny, "Trello token"},
    {"shptka_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"ck_", Alphabet::hex, 40, 40, "WooCommerce key"},
    {"cs_", Alphabet::hex, 40, 40, "WooCommerce secret"},
    {"A21AA", Alphabet::url, 80, kAny, "PayPal token"},
    {"access-production-", Alphabet::url, 36, 36, "Plaid token"},
    {"access-development-", Alphabet::url, 36, 36, "Plaid token"},
    {"access-sandbox-", Alphabet::url, 36, 36, "Plaid token"},
    {"rzp_live_", Alphabet::alnum, 14, kAny, "Razorpay key"},
    {"rzp_test_", Alphabet::alnum, 14, kAny, "Razorpay key"},
    {"FLWSECK-", Alphabet::url, 30, kAny, "Flutterwave key"},
    {"FLWSECK_TEST-", Alphabet::url, 30, kAny, "Flutterwave key"},
    {"sk_prod_", Alphabet::alnum, 16, kAny, "API key"},
    {"rk_prod_", Alphabet::alnum, 16, kAny, "API key"},
    {"live_", Alphabet::alnum, 30, kAny, "API key"},
    {"mfa.", Alphabet::url, 80, kAny, "Discord token"},
    {"oauth:", Alphabet::alnum, 30, 30, "Twitch token"},
    {"1//0", Alphabet::url, 40, kAny, "Google token"},
    {"GOOG1E", Alphabet::alnum, 50, kAny, "Google key"},
    {"GOOG", Alphabet::upper, 20, 20, "Google key"},
    {"hvr.", Alphabet::url, 24, kAny, "Vault token"},
    {"LTAI", Alphabet::alnum, 16, 24, "Alibaba key"},
    {"AKID", Alphabet::alnum, 32, 32, "Tencent key"},
    {"AQVN", Alphabet::url, 35, 38, "Yandex key"},
    {"y0_", Alphabet::url, 50, kAny, "Yandex token"},
    {"YCAJE", Alphabet::url, 20, kAny, "Yandex key"},
    {"dkea", Alphabet::hex, 32, 34, "Databricks token"},
    {"dose", Alphabet::hex, 32, 34, "Databricks token"},
    {"pscale_oauth_", Alphabet::url, 30, kAny, "PlanetScale token"},
    {"sb_secret_", Alphabet::word, 28, kAny, "Supabase key"},
    {"napi_", Alphabet::alnum, 60, kAny, "Neon key"},
    {"mdb_sa_sk_", Alphabet::url, 36, kAny, "MongoDB secret"},
    {"sdk-", Alphabet::uuid, 36, 36, "LaunchDarkly key"},
    {"xkeysib-", Alphabet::url, 64, kAny, "Brevo key"},
    {"xsmtpsib-", Alphabet::url, 64, kAny, "Brevo key"},
    {"mlsn.", Alphabet::hex, 60, kAny, "MailerSend key"},
    {"re_", Alphabet::word, 32, 36, "Resend key"},
    {"md-", Alphabet::url, 22, 22, "Mandrill key"},
    {"pat-na1-", Alphabet::uuid, 36, 36, "HubSpot token"},
    {"pat-eu1-", Alphabet::uuid, 36, 36, "HubSpot token"},
    {"secret-live-", Alphabet::url, 36, kAny, "Stytch secret"},
    {"secret-test-", Alphabet::url, 36, kAny, "Stytch secret"},
    {"fio-u-", Alphabet::url, 60, kAny, "Frame.io token"},
    {"duffel_live_", Alphabet::url, 40, kAny, "Duffel token"},
    {"duffel_test_", Alphabet::url, 40, kAny, "Duffel token"},
    {"EZAK", Alphabet::alnum, 54, 54, "EasyPost key"},
    {"EZTK", Alphabet::alnum, 54, 54, "EasyPost key"},
    {"shippo_live_", Alphabet::hex, 40, 40, "Shippo token"},
    {"shippo_test_", Alphabet::hex, 40, 40, "Shippo token"},
    {"rdme_", Alphabet::alnum, 70, 70, "ReadMe key"},
    {"PMAT-", Alphabet::upper, 26, 26, "Postman token"},
    {"ico-", Alphabet::alnum, 32, 32, "Infracost key"},
    {"pnu_", Alphabet::alnum, 36, 36, "Prefect key"},
    {"vcp_", Alphabet::alnum, 24, kAny, "Vercel token"},
    {"dckr_oat_", Alphabet::url, 20, kAny, "Docker token"},
    {"apify_api_", Alphabet::alnum, 36, kAny, "Apify token"},
    {"fw_", Alphabet::alnum, 24, 24, "Fireworks key"},
    {"cfut_", Alphabet::alnum, 40, kAny, "Cloudflare token"},
    {"glrtr-", Alphabet::url, 20, kAny, "GitLab token"},
    {"ion_", Alphabet::alnum, 42, 42, "Ionic token"},
    {"tk-us-", Alphabet::url, 48, 48, "SettleMint token"},
    {"cio", Alphabet::alnum, 32, 32, "crates.io token"},
    {"FwoGZXIvYXdz", Alphabet::base64, 100, kAny, "AWS token"},
    {"IQoJb3JpZ2luX2Vj", Alphabet::base64, 100, kAny, "AWS token"},
    {"SCW", Alphabet::upper, 17, 17, "Scaleway key"},
    {"hooks.zapier.com/hooks/catch/", Alphabet::path, 12, kAny, "webhook"},
    {"outlook.office.com/webhook/", Alphabet::any_path, 60, kAny, "webhook"},
    {"webhook.office.com/webhookb2/", Alphabet::any_path, 60, kAny, "webhook"},
    {"chat.googleapis.com/v1/spaces/", Alphabet::any_path, 40, kAny, "webhook"},
    {"api.telegram.org/bot", Alphabet::any_path, 40, kAny, "Telegram token"},
    {"hooks.slack.com/services/", Alphabet::path, 30, kAny, "Slack webhook"},
    {"discord.com/api/webhooks/", Alphabet::path, 40, kAny, "Discord webhook"},
    {"discordapp.com/api/webhooks/", Alphabet::path, 40, kAny, "Discord webhook"},
};

bool is_alnum(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

bool in_alphabet(char c, Alphabet alphabet) {
    const bool digit = c >= '0' && c <= '9';
    switch (alphabet) {
        case Alphabet::hex:
            return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        case Alphabet::uuid:
            return in_alphabet(c, Alphabet::hex) || c == '-';
        case Alphabet::upper:
            return digit || (c >= 'A' && c <= 'Z');
        case Alphabet::alnum:
            return is_alnum(c);
        case Alphabet::word:
            return is_alnum(c) || c == '_';
        case Alphabet::url:
            return is_alnum(c) || c == '_' || c == '-';
        case Alphabet::key:
            return is_alnum(c) || c == '_' || c == '-' || c == '.';
        case Alphabet::base64:
            return is_alnum(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-';
        case Alphabet::path:
            return is_alnum(c) || c == '_' || c == '-' || c == '/';
        case Alphabet::any_path:
            return is_alnum(c) || std::string_view("_-/.:@?&=%+").find(c) != std::string_view::npos;
    }
    return false;
}

KeyFormats::KeyFormats() {
    for (const KeyFormat& format : kFormats) {
        by_first[static_cast<unsigned char>(format.prefix[0])].push_back(&format);
    }
}

}  // namespace app::codebase
