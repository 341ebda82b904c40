"""To-dos as values and decisions: due dates, recurrence, reminders. No I/O, no clock."""

from gda.todos.due import Due, due_on, nominal_of, read_due
from gda.todos.model import PRIORITIES, STATUSES, NewTodo, Reminder, Todo, checked
from gda.todos.recurrence import Successor, successor
from gda.todos.repeat import MISSED, WORDS, Repeat, read_repeat, slots

__all__ = [
    "MISSED",
    "PRIORITIES",
    "STATUSES",
    "WORDS",
    "Due",
    "NewTodo",
    "Reminder",
    "Repeat",
    "Successor",
    "Todo",
    "checked",
    "due_on",
    "nominal_of",
    "read_due",
    "read_repeat",
    "slots",
    "successor",
]
