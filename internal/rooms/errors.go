package rooms

import "ddpserver/internal/fault"

// Refusals, with Rocket.Chat's names and sentences where it has them.
var (
	ErrInvalidRoom    = fault.New("error-invalid-room", "Invalid room")
	ErrRoomNotFound   = fault.New("error-room-not-found", `The required "roomId" or "roomName" param provided does not match any channel`)
	ErrNoRoom         = fault.New("error-room-does-not-exist", "This room does not exist")
	ErrRoomArchived   = fault.New("error-room-archived", "The room is archived")
	ErrReadOnly       = fault.New("error-not-allowed", "You can't send messages because the room is readonly.")
	ErrMuted          = fault.New("error-not-allowed", "You have been muted and cannot speak in this room")
	ErrBlocked        = fault.New("error-not-allowed", "This room is blocked")
	ErrEncrypted      = fault.New("error-not-allowed", "Not allowed to send un-encrypted messages in an encrypted room")
	ErrCodeRequired   = fault.New("error-code-required", "Code required")
	ErrCodeInvalid    = fault.New("error-code-invalid", "Invalid code")
	ErrNotAuthorized  = fault.New("not-authorized", "Not Authorized")
	ErrNotMember      = fault.New("error-user-not-in-room", "You are not in this room")
	ErrOtherNotMember = fault.New("error-user-not-in-room", "User is not in this room")
	ErrNotSubscribed  = fault.New("error-invalid-subscription", "You must be part of a room to favorite it")
	ErrLastOwner      = fault.New("error-you-are-last-owner", "You are the last owner. Please set new owner before leaving the room.")
	ErrRemoveOwner    = fault.New("error-remove-last-owner", "This is the last owner. Please set a new owner before removing this one.")
	ErrInvalidUser    = fault.New("error-invalid-user", "Invalid user")
	ErrUserNotFound   = fault.New("error-user-not-found", "User not found")
	ErrDirectArchive  = fault.New("error-direct-message-room", "Direct Messages can not be archived")
	ErrDirectInvite   = fault.New("error-cant-invite-for-direct-room", "Can't invite user to direct rooms")
	ErrTooManyDirect  = fault.New("error-direct-message-max-user-exceeded", "You cannot add more users to a direct message")
	ErrTooManyUsers   = fault.New("error-invalid-arguments", "Too many users at once")
	ErrRoomName       = fault.New("error-invalid-room-name", "") // the reason names the room
	ErrDuplicateRoom  = fault.New("error-duplicate-channel-name", "")

	ErrRoomSettings = fault.New("error-invalid-settings", "Invalid settings provided")
	ErrRoomText     = fault.New("error-invalid-settings", "The text is too long, or no text")
	ErrRoomType     = fault.New("error-invalid-room-type", "Rooms are public channels (c) or private groups (p)")
	ErrEditingRoom  = fault.New("error-action-not-allowed", "Editing room is not allowed").With(map[string]any{"action": "Editing_room"})
	ErrTypeOfRoom   = fault.New("error-action-not-allowed", "Changing the type of the room is not allowed").With(map[string]any{"action": "Change_Room_Type"})
	ErrBroadcast    = fault.New("error-action-not-allowed",
		"Editing readOnly/reactWhenReadOnly are not allowed for broadcast rooms").With(map[string]any{"action": "Editing_room"})
	ErrDefaultRoom = fault.New("error-action-not-allowed", "Viewing room administration is not allowed").
			With(map[string]any{"action": "Viewing_room_administration"})

	ErrInvalidMessage = fault.New("error-invalid-message", "Invalid message")
	ErrMessageID      = fault.New("error-invalid-message", "Message id is not usable")
	ErrSize           = fault.New("error-message-size-exceeded", "Message size exceeds Message_MaxAllowedSize")
	ErrTimestamp      = fault.New("error-message-ts-out-of-sync", "Message timestamp is out of sync")
	ErrUpdateKey      = fault.New("error-invalid-update-key", "Cannot update this part of the message")
	ErrEditing        = fault.New("error-action-not-allowed", "Message editing not allowed").With(map[string]any{"action": "Message_editing"})
	ErrEditBlocked    = fault.New("error-message-editing-blocked", "Message editing is blocked")
	ErrEditedMeanTime = fault.New("error-message-editing-blocked", "The message was changed in the meantime")
	ErrDeleting       = fault.New("error-action-not-allowed", "Not allowed").With(map[string]any{"action": "Delete_message"})
	ErrPinning        = fault.New("error-action-not-allowed", "Message pinning not allowed").With(map[string]any{"action": "Message_pinning"})
	ErrPinNotFound    = fault.New("error-invalid-message", "Message you are pinning was not found").With(map[string]any{"action": "Message_pinning"})
	ErrUnpinNotFound  = fault.New("error-invalid-message", "Message you are unpinning was not found").With(map[string]any{"action": "Message_pinning"})
	ErrStarring       = fault.New("error-action-not-allowed", "Message starring not allowed").With(map[string]any{"action": "Message_starring"})
	ErrMentionAll     = fault.New("error-action-not-allowed", "Notify all in this room not allowed").With(map[string]any{"action": "Notify_all_in_this_room"})
	ErrMentionHere    = fault.New("error-action-not-allowed",
		"Notify active users in this room not allowed").With(map[string]any{"action": "Notify_active_in_this_room"})
	ErrEmoji         = fault.New("error-not-allowed", "Invalid emoji provided.")
	ErrTooManyEmojis = fault.New("error-not-allowed", "Too many reactions on this message")
	ErrImpersonate   = fault.New("error-not-allowed", "Not enough permission")
	ErrThreads       = fault.New("error-not-allowed", "not-allowed")
	ErrAttachment    = fault.New("error-invalid-message", "Invalid href value provided")

	ErrStatus       = fault.New("error-invalid-status", "Invalid status")
	ErrInvisible    = fault.New("error-status-not-allowed", "Invisible status is disabled")
	ErrStatusChange = fault.New("error-not-allowed", "Not allowed")
)
