package oauth

// GitHub, Facebook and Discord at other addresses.
var (
	GitHubAt   = gitHub
	FacebookAt = facebook
	DiscordAt  = discord
)

var ErrorCodes = func() (all []string) {
	for _, c := range codes {
		all = append(all, c.code)
	}
	return all
}()
