package strictjson

var (
	Valid      = valid
	CheckWhole = checkWhole
)
