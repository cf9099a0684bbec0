package composer

import (
	"strings"

	"remit/catalog"
)

// action is what a verb does, coarser than the verb: a job's "raise" and a tool's "create" are one action.
type action string

const (
	reads      action = "read"
	creates    action = "create"
	updates    action = "update"
	completes  action = "complete"
	comments   action = "comment"
	sends      action = "send"
	deletes    action = "delete"
	moves      action = "move"
	attaches   action = "attach"
	runs       action = "run"
	approves   action = "approve"
	merges     action = "merge"
	assigns    action = "assign"
	publishes  action = "publish"
	invites    action = "invite"
	pays       action = "pay"
	cancels    action = "cancel"
	pauses     action = "pause"
	schedules  action = "schedule"
	labels     action = "label"
	restores   action = "restore"
	renders    action = "render"
	copies     action = "copy"
	deploys    action = "deploy"
	switches   action = "switch"
	subscribes action = "subscribe"
	manages    action = "manage" // of tools that do several things
)

// actionVerbs lists English verbs by action, most usual first. A verb of several actions stands under the first.
var actionVerbs = []struct {
	action action
	verbs  string
}{
	{reads, `find list get read reader search look lookup fetch query show view describe retrieve check count browse inspect
		summarize summarise analyze analyse compare see know tell give report collect gather pull explain watch monitor
		identify examine investigate scan calculate compute verify validate download export work review study detect
		discover track spot tally quote map cite total determine extract scrape crawl
		navigate visit preview learn ask estimate forecast translate confirm convert parse match audit lint test take grab pick choose select diagnose evaluate`},
	{creates, `create add insert make write draft raise file record new register log open compose start prepare enter
		save store put build generate book upsert init provision issue`},
	{updates, `update updater change edit modify correct fix adjust set patch replace fill rewrite rename amend refresh
		configure revise rework tweak alter maintain touch fiddle apply`},
	{completes, `complete finish close tick resolve mark done acknowledge fulfil fulfill ship settle`},
	{comments, `comment reply answer respond note annotate leave`},
	{sends, `send post email mail message text sms notify alert drop share forward ping announce call dial
		broadcast tweet remind inform`},
	{deletes, `delete remove erase purge destroy wipe clear trash discard clean prune uninstall revoke expire
		reset truncate empty evict`},
	{moves, `move push reschedule postpone shift transfer reorder sort migrate relocate`},
	{attaches, `attach upload import`},
	{runs, `run execute trigger launch rerun retry exec eval invoke `},
	{approves, `approve reject accept decline sign authorise authorize`},
	{merges, `merge commit rebase`},
	{assigns, `assign unassign allocate reassign`},
	{publishes, `publish unpublish release`},
	{invites, `invite ban grant`},
	{pays, `pay charge refund credit purchase buy withdraw payout remit`},
	{cancels, `cancel stop terminate void abort kill shutdown deactivate disconnect`},
	{pauses, `pause resume suspend freeze snooze`},
	{schedules, `schedule arrange`},
	{labels, `tag label categorise categorize classify untag star pin flag`},
	{restores, `restore rollback roll revert undo sync recover restart reboot scale resize`},
	{renders, `chart draw plot render visualise visualize diagram screenshot capture snapshot`},
	{copies, `copy duplicate clone fork branch`},
	{deploys, `deploy redeploy rollout promote`},
	{switches, `enable disable toggle switch activate lock unlock archive unarchive`},
	{manages, `manage administer handle`},
	{subscribes, `subscribe unsubscribe follow join link unlink connect`},
}

// actions maps a verb's stem to its action.
var actions = func() map[string]action {
	m := map[string]action{}
	for _, a := range actionVerbs {
		for _, v := range strings.Fields(a.verbs) {
			if _, ok := m[stem(v)]; !ok {
				m[stem(v)] = a.action
			}
		}
	}
	return m
}()

// nouns are verbs that name things as often. In a job they count as verbs only where a verb stands.
var nounVerbs = stems(`leave test pick report note comment message text email mail post record file issue book map call alert link tag label
	review answer reply log draft change order charge credit release track chart plot diagram snapshot screenshot fork
	branch flag star pin query search list view scan export import download upload match check text share work total
	quote estimate forecast set start open run build store schedule switch sign match update note fix ship drop pull
	push transfer copy sort count pay tick fill lock ping remit release project archive void clean new`)

// kin says how well a tool that does b serves words that ask for a, 0 to 1.
func kin(a, b action) float64 {
	switch {
	case a == b:
		return 1
	case a == "" || b == "":
		return 0.4
	case b == manages:
		return 0.7
	case a == manages:
		return 0.5
	}
	if v, ok := kinship[[2]action{a, b}]; ok {
		return v
	}
	return 0
}

var kinship = map[[2]action]float64{
	{completes, updates}: 0.7, {updates, completes}: 0.3, {labels, updates}: 0.7, {moves, updates}: 0.7,
	{schedules, creates}: 0.7, {schedules, updates}: 0.6, {assigns, updates}: 0.6, {switches, updates}: 0.6,
	{comments, creates}: 0.8, {comments, sends}: 0.7, {sends, creates}: 0.7, {sends, comments}: 0.6,
	{attaches, creates}: 0.6, {attaches, updates}: 0.5, {creates, comments}: 0.5, {creates, updates}: 0.3,
	{creates, attaches}: 0.6, {creates, sends}: 0.4, {renders, creates}: 0.9, {renders, reads}: 0.6,
	{creates, renders}: 0.9, {pauses, updates}: 0.5, {pauses, switches}: 0.6, {pauses, cancels}: 0.2,
	{cancels, updates}: 0.3, {copies, creates}: 0.8, {merges, creates}: 0.4, {merges, moves}: 0.5, {merges, updates}: 0.5,
	{approves, creates}: 0.3, {approves, updates}: 0.5, {publishes, creates}: 0.4, {publishes, updates}: 0.3,
	{invites, creates}: 0.6, {pays, creates}: 0.5, {deploys, runs}: 0.6, {deploys, creates}: 0.5, {runs, creates}: 0.5,
	{runs, reads}: 0.5, {reads, runs}: 0.5, {reads, renders}: 0.5, {creates, copies}: 0.4, {creates, schedules}: 0.5,
	{moves, sends}: 0.2, {updates, labels}: 0.4, {updates, creates}: 0.3, {restores, updates}: 0.3, {subscribes, creates}: 0.5,
	{subscribes, updates}: 0.4, {deletes, updates}: 0.2, {updates, moves}: 0.3, {creates, merges}: 0.4, {copies, merges}: 0.2,
}

// effectOf is the most that words asking for a can want.
func effectOf(a action) catalog.Effect {
	switch a {
	case reads, renders:
		return catalog.Read
	case sends, pays, publishes, invites, deploys:
		return catalog.External
	case deletes, cancels:
		return catalog.Destructive
	}
	return catalog.Write
}

// stop words carry no meaning for what a tool must do.
var stop = set(`a about above after again agent all already also always am an and another any anybody anyone anything are around
	as assistant at away back basically be because been before being below between both bot but by can cannot could cant
	day did do does doesnt doing done dont down during each either else etc ever every everyone everything few first for
	from full further get gets getting go goes going good got had has have having he help helper helps her here hers him
	his how however i if im in instead into is it its itself job just keep keeps kind last let lets like ll look lot may me
	might mine more most must my need needed needs never new next nice no nobody none nor not nothing now of off on once
	one ones only onto or other others our ours out over own per please pls quick re really right same second see shall
	she should side since so some someone something soon still straight such sure take takes than that thats the their
	them then there these they theyre thing things this those through thus to too toward towards two three under until
	up upon us use used user uses using ve very via want wants was way we well were what whatever when whenever where
	whether which while who whole whom whose why will wish with within without would yes yet you your yours yourself
	e g ie eg vs am pm able ourselves myself themselves put make makes made give gives given come comes keep ask asks asked
	whose people person ones onto per today tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday
	mondays tuesdays wednesdays thursdays fridays morning evening night nightly daily weekly monthly quarterly yearly
	week weeks month months year years hour hours minute minutes days time times once twice current recent latest old
	existing matching relevant different various certain actual main correct certain long short big small
	unattended human humans watching hello hi thanks thank`)

// brands are products that people name in jobs; a need that names one of them and that no server has is a gap.
var brands = strings.Split(`microsoft teams,google drive,google docs,google sheets,google calendar,gmail,outlook,excel,sharepoint,onedrive,
	microsoft 365,whatsapp,telegram,discord,zoom,webex,salesforce,hubspot,zendesk,intercom,freshdesk,servicenow,jira,confluence,trello,asana,
	clickup,basecamp,notion,airtable,dropbox,box,docusign,pandadoc,stripe,paypal,adyen,klarna,shopify,woocommerce,magento,bigcommerce,quickbooks,
	xero,sage,datev,sap,netsuite,workday,personio,bamboohr,greenhouse,lever,mailchimp,sendgrid,klaviyo,marketo,pipedrive,linkedin,facebook,
	instagram,tiktok,youtube,twitter,github,gitlab,bitbucket,jenkins,pagerduty,opsgenie,datadog,splunk,grafana,prometheus,new relic,sentry,
	snowflake,bigquery,databricks,redshift,tableau,looker,power bi,figma,miro,canva,wordpress,webflow,contentful,calendly,eventbrite,typeform,
	surveymonkey,twilio,vonage,okta,auth0,aws,azure,google cloud,cloudflare,vercel,netlify,heroku,digitalocean,kubernetes,docker`, ",")

// alias is another name of a product as it stands in a server's name. Widely used short forms only.
var alias = map[string]string{
	"gcp": "google cloud", "aws": "amazon web services", "k8s": "kubernetes", "postgres": "postgresql", "gdrive": "google drive",
	"gcal": "google calendar", "gmail": "google mail", "gsheets": "google sheets", "gdocs": "google docs", "mongo": "mongodb",
	"msteams": "microsoft teams", "ms365": "microsoft 365", "gh": "github", "ado": "azure devops",
}

// shortForms are written out before anything is compared.
var shortForms = map[string][]string{"pr": {"pull", "request"}, "mr": {"merge", "request"}, "repo": {"repository"}, "ci": {"ci", "workflow"},
	"db": {"database"}, "faq": {"question"}, "kb": {"knowledge", "base"}, "doc": {"document"}, "pic": {"picture"}, "org": {"organisation"}}

// thingVerbs are actions whose verb also names what is made or acted on ("comment", "tag", "email").
var thingVerbs = map[action]bool{comments: true, sends: true, labels: true, renders: true, attaches: true, schedules: true, merges: true,
	copies: true, publishes: true, assigns: true, pays: true, cancels: true, pauses: true, runs: true, approves: true, deploys: true}

// synonyms are pairs of general words for one thing, by stem; they count a little less than the word itself.
var synonyms = func() map[string][]string {
	m := map[string][]string{}
	for _, group := range strings.Split(`customer client buyer; bug issue ticket defect; ticket case; chat message conversation;
		photo image picture; picture image asset; employee member staff user; appointment event meeting booking; mail email; phone call;
		text sms message; company organisation organization account; file document; page document; directory folder; article post;
		repo repository; task todo item; row record; column field; table base; database db; doc document;
		log event; graph chart; site website; web internet; price pricing; address location; place location; shop store;
		invoice bill; ci action workflow job; job pipeline; diff change; flag toggle; person contact; contact customer; deal opportunity;
		video recording; person member; member user; colleague member; code file;
		sign-in login; alert alarm; metric measure; app application; route direction; driving route; config configuration;
		thread reply; group team; stage status; state status; health status; note comment; channel conversation`, ";") {
		words := strings.Fields(group)
		for _, a := range words {
			for _, b := range words {
				if a != b {
					m[stem(a)] = append(m[stem(a)], stem(b))
				}
			}
		}
	}
	return m
}()
