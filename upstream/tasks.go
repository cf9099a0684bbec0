package upstream

import "slices"

// What can be asked of a server about a task of its own, by Call with the task's id as Tool. UpdateTask is of the newer era, TaskResult of
// the older, where it waits for the end of the task.
const (
	GetTask    = "tasks/get"
	UpdateTask = "tasks/update"
	CancelTask = "tasks/cancel"
	TaskResult = "tasks/result"
)

func isTask(method string) bool {
	return slices.Contains([]string{GetTask, UpdateTask, CancelTask, TaskResult}, method)
}
