HRESULT DUMPWRIGHT_CALL DebugCreate(const GUID *iid, void **object);
HRESULT DUMPWRIGHT_CALL DebugCreateEx(const GUID *iid, ULONG options, void **object);
HRESULT DUMPWRIGHT_CALL DebugConnect(PCSTR remote_options, const GUID *iid, void **object);
HRESULT DUMPWRIGHT_CALL DebugConnectWide(PCWSTR remote_options, const GUID *iid, void **object);

#ifdef __cplusplus
}
#endif

#endif
