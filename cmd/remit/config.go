package main

import (
	"fmt"

	"remit/internal/config"
)

type configCmd struct {
	Show   configShowCmd   `cmd:"" default:"1" help:"Print the settings in force; secrets stay references (also without the word show)."`
	Schema configSchemaCmd `cmd:"" nosettings:"" help:"Print the JSON Schema of remit.yaml, for editors: \"# yaml-language-server: $$schema=remit.schema.json\" as its first line."`
}

type configShowCmd struct{}

func (configShowCmd) Run(a *app) error {
	text, err := config.Show(a.opts, a.source.File())
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, text)
	return err
}

type configSchemaCmd struct{}

func (configSchemaCmd) Run(a *app) error {
	text, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}
