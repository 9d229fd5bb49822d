BEGIN TRANSACTION;
CREATE TABLE agents (
	tenant VARCHAR(64) NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	name_key VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	role TEXT NOT NULL, 
	incarnation INTEGER NOT NULL, 
	registered_at BIGINT NOT NULL, 
	last_heartbeat BIGINT NOT NULL, 
	active_until BIGINT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	PRIMARY KEY (tenant, id)
)
 WITHOUT ROWID

;
INSERT INTO "agents" VALUES('acme','agent_ann-000001','ann','ann','outbound',1,1772366400000,1772366717000,1772367017000,'active');
INSERT INTO "agents" VALUES('acme','agent_bob-000002','bob','bob','ünïcode 💻',1,1772366400000,1772366400000,1772366700000,'lapsed');
INSERT INTO "agents" VALUES('acme','agent_cid-000003','cid','cid','ünïcode 💻',2,1772366400000,1772366677000,1772366977000,'active');
INSERT INTO "agents" VALUES('acme','agent_dee-000033','dee','dee','',2,1772366492000,1772366637000,1772366937000,'active');
INSERT INTO "agents" VALUES('umbrella','agent_ann-000004','ann','ANN','ünïcode 💻',1,1772366400000,1772366481000,1772366781000,'active');
INSERT INTO "agents" VALUES('umbrella','agent_bob-000005','bob','bob','ünïcode 💻',4,1772366400000,1772366481000,1772366781000,'active');
INSERT INTO "agents" VALUES('umbrella','agent_cid-000006','cid','cid','ünïcode 💻',2,1772366400000,1772366757000,1772367057000,'active');
INSERT INTO "agents" VALUES('umbrella','agent_dee-000008','dee','DEE','',2,1772366400000,1772366757000,1772367057000,'active');
CREATE TABLE answers (
	tenant VARCHAR(64) NOT NULL, 
	caller VARCHAR(64) NOT NULL, 
	command VARCHAR(64) NOT NULL, 
	"key" VARCHAR(256) NOT NULL, 
	fingerprint BLOB NOT NULL, 
	code VARCHAR(64), 
	body TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (tenant, caller, command, "key")
)
 WITHOUT ROWID

;
INSERT INTO "answers" VALUES('acme','keytenant','AcquireLease','order-17',X'AF0BF2A562DABE2A81E0B0B47A33A515B5E8495C72FFF218AF4C15F3F066FA44',NULL,'{"leaseId":"..."}',35,1772366764000);
CREATE TABLE configs (
	tenant VARCHAR(64) NOT NULL, 
	agent_id VARCHAR(64) NOT NULL, 
	settings TEXT NOT NULL, 
	PRIMARY KEY (tenant, agent_id)
)
 WITHOUT ROWID

;
INSERT INTO "configs" VALUES('acme','agent_bob-000002','{"humanizer_style":"warm"}');
INSERT INTO "configs" VALUES('acme','agent_dee-000033','{"humanizer_style":"dry"}');
INSERT INTO "configs" VALUES('umbrella','agent_ann-000004','{"humanizer_style":"dry"}');
CREATE TABLE events (
	position INTEGER NOT NULL, 
	tenant VARCHAR(64) NOT NULL, 
	sequence BIGINT NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	stream TEXT NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	command_id VARCHAR(36) NOT NULL, 
	data TEXT NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "events" VALUES(1,'acme',1,'019ca945-0a00-70fe-a088-64de029b6845','tenant-acme','TenantCreated',1,1772366400000,'keytenant','019ca945-0a00-71ee-87bc-41ae272ef5f7','{"tenantId":"acme"}',X'87CDEB8014CBD577F593B8E09597F20BC90F79DAACFE22FC3D331919EDCAA0B2');
INSERT INTO "events" VALUES(2,'acme',2,'019ca945-0a00-72f4-a84a-26d773beaeb9','agent-ann-000001','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-7f80-a917-01c50adabec7','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_ann-000001","agentName":"ann","agentRole":"outbound","incarnation":1}',X'7FE06BEDC910521BFE10F408D6BE029AD61AF43FEAAA9B7EF79A2A41F89FD48D');
INSERT INTO "events" VALUES(3,'acme',3,'019ca945-0a00-7ac6-af8d-054abbeaa6a2','agent-bob-000002','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-7ef6-9f20-22cfa3a1385e','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_bob-000002","agentName":"bob","agentRole":"ünïcode 💻","incarnation":1}',X'278E3B98AC30E088D4BDB369CDA8F6670B4729DAFB7F9D2C8A8CD90339D8BFD0');
INSERT INTO "events" VALUES(4,'acme',4,'019ca945-0a00-7cc8-a993-9062769882e2','agent-cid-000003','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-70a9-b0d9-f183095e9186','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_cid-000003","agentName":"cid","agentRole":"","incarnation":1}',X'E95EE2B7FDA9EA19E2CE491F6319CC4E61F12870F9F9CDAF929E602C402D2A59');
INSERT INTO "events" VALUES(5,'umbrella',1,'019ca945-0a00-7228-bd71-494ccf8c2cd8','tenant-umbrella','TenantCreated',1,1772366400000,'keytenant','019ca945-0a00-7d6d-9867-821dacb52cdb','{"tenantId":"umbrella"}',X'8F96F7EFDBD63B52977EE6E8633E782459EF2AC8134BA9B31AFE5AF467FDBC77');
INSERT INTO "events" VALUES(6,'umbrella',2,'019ca945-0a00-7a28-aaa5-4d12d98b6217','agent-ann-000004','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-7e0b-a87c-576e9867992a','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_ann-000004","agentName":"ANN","agentRole":"ünïcode 💻","incarnation":1}',X'B245F204DFA8B81967ECD75499572251E4B5CE56CD941D74CD47B57922E47EF4');
INSERT INTO "events" VALUES(7,'umbrella',3,'019ca945-0a00-712a-8dea-5d4b4f578edf','agent-bob-000005','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-72f5-8d62-644f61a112e8','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_bob-000005","agentName":"bob","agentRole":"","incarnation":1}',X'5A0CE515CDE219FC6A296F8AAEB46BF363A50356DE44F93237E47E57CE34C786');
INSERT INTO "events" VALUES(8,'umbrella',4,'019ca945-0a00-720b-ae0b-5f30833bb8b9','agent-cid-000006','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-7c9e-b3f5-e8269ea9a94b','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_cid-000006","agentName":"cid","agentRole":"","incarnation":1}',X'31066B20F1ACA439297A673B75B7C2D8137489AD756C9E0872342D2449872CB4');
INSERT INTO "events" VALUES(9,'umbrella',5,'019ca945-0a00-7eac-abee-17fdc9bbca04','key-key-000007','KeyIssued',1,1772366400000,'keytenant','019ca945-0a00-7214-a177-da8679ee4f34','{"agentId":"agent_dee-000008","agentName":"dee","keyId":"key-000007","role":"agent","secretHash":"0000000000000000000000000000000000000000000000000000000000000000"}',X'75B7B8FA4E4D7D8C0E384C482361F016F15FAA5DCC401A206257EC6583E9A904');
INSERT INTO "events" VALUES(10,'umbrella',6,'019ca945-0a00-74ac-bfba-d5c98b4c21c6','agent-dee-000008','AgentRegistered',1,1772366400000,'keytenant','019ca945-0a00-7a3e-ab60-d9963827bbf9','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_dee-000008","agentName":"DEE","agentRole":"outbound","incarnation":1}',X'7400E7F8DBCF192972299D64A65B21200428AE1602F15B2C30B075EEFB9D687E');
INSERT INTO "events" VALUES(11,'acme',5,'019ca945-4498-7ca5-bb39-c66c8f4a2abc','lease-kim@example.com','LeaseAcquired',1,1772366415000,'keytenant','019ca945-4498-7efc-b07b-8f2c485079b9','{"agentId":"agent_bob-000002","contactEmail":"kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:01:15.000Z","fence":5,"intent":"a \"quoted\" intent","leaseId":"lease-000011"}',X'5DCDEAA8B67945542BEEFCCF56BB74EC8B7D531F4D3DCD96CA608621DC14E3BE');
INSERT INTO "events" VALUES(12,'acme',6,'019ca945-4498-7e92-9ddd-ffb09c1feab2','agent-cid-000003','AgentReregistered',1,1772366415000,'keytenant','019ca945-4498-70f2-945f-a7677c062f17','{"activeUntil":"2026-03-01T12:05:15.000Z","agentId":"agent_cid-000003","agentName":"cid","agentRole":"ünïcode 💻","incarnation":2}',X'1095A798A69053AA6785F50E90A9176221BEA90EA6FFA824B57BA22C974BE30C');
INSERT INTO "events" VALUES(13,'umbrella',7,'019ca945-e0d8-7297-997f-c102f2ff34e2','agent-bob-000005','AgentReregistered',1,1772366455000,'keytenant','019ca945-e0d8-706b-8c7b-8043c6b40776','{"activeUntil":"2026-03-01T12:05:55.000Z","agentId":"agent_bob-000005","agentName":"bob","agentRole":"ünïcode 💻","incarnation":2}',X'E6E0A39CA229B2B7D4AE7C906986834394092DAE097D54E8D3CBFF2B83563EC8');
INSERT INTO "events" VALUES(14,'umbrella',8,'019ca945-e0d8-7b01-816c-ef027c2fa778','agent-bob-000005','AgentReregistered',1,1772366455000,'keytenant','019ca945-e0d8-7398-82f5-0a43f062622b','{"activeUntil":"2026-03-01T12:05:55.000Z","agentId":"agent_bob-000005","agentName":"bob","agentRole":"","incarnation":3}',X'FC3E0385F414BFD2EA4B0A9AE6FE7608285B4FC4A757F9773F9A52650F9A0879');
INSERT INTO "events" VALUES(15,'acme',7,'019ca945-e0d8-77a8-9248-63711784912a','key-key-000018','KeyIssued',1,1772366455000,'keytenant','019ca945-e0d8-7399-89d1-8a9182f54ee6','{"agentId":"agent_cid-000003","agentName":"cid","keyId":"key-000018","role":"agent","secretHash":"0000000000000000000000000000000000000000000000000000000000000000"}',X'79864B0D97C9541A778F37D1CC21C2A9D2E2C86128AB4ED7D3B137E17F803CA8');
INSERT INTO "events" VALUES(16,'acme',8,'019ca945-e0d8-7545-8763-358700df62a2','key-key-000020','KeyIssued',1,1772366455000,'keytenant','019ca945-e0d8-707f-8189-f7ac15940786','{"agentId":"agent_bob-000002","agentName":"bob","keyId":"key-000020","role":"agent","secretHash":"0000000000000000000000000000000000000000000000000000000000000000"}',X'7E720F71EE0D4BA0A6DDD856BD7559B17DE36B36894C58C02DDA021C9E2263D6');
INSERT INTO "events" VALUES(17,'umbrella',9,'019ca946-1b70-7503-bcae-859b5181db5a','send-kim@example.com','SendBlocked',1,1772366470000,'keytenant','019ca946-1b70-7c19-b99e-22f815caecf8','{"agentId":"agent_bob-000005","agentName":"bob","contactEmail":"kim@example.com","contactKey":"kim@example.com","fence":1,"reason":"stale_fence","sendId":"send-000022"}',X'76A65D082BD1E79B03D883C48021AA395028148B839DA3D30935265DC5CF18E6');
INSERT INTO "events" VALUES(18,'umbrella',10,'019ca946-2ef8-79e0-9f95-be620b47852f','agent-ann-000004','HeartbeatReceived',1,1772366475000,'keytenant','019ca946-2ef8-78fb-9df4-bf2f8fd63f2a','{"activeUntil":"2026-03-01T12:06:15.000Z","agentId":"agent_ann-000004"}',X'562D21B9FEA322AB14817D1D7E75568AD2ECDA1C3C549C0359627825376C3831');
INSERT INTO "events" VALUES(19,'acme',9,'019ca946-32e0-788f-b69c-e7e4fb16af6b','agent-ann-000001','HeartbeatReceived',1,1772366476000,'keytenant','019ca946-32e0-7b8b-a4fc-f17b5e8a5734','{"activeUntil":"2026-03-01T12:06:16.000Z","agentId":"agent_ann-000001"}',X'90BD4AD4F783C142FD8CF8FC59BA35A0D4696B906FAC003BD6D91DDE3BA1EC97');
INSERT INTO "events" VALUES(20,'acme',10,'019ca946-32e0-76cf-b9c6-e968ba517812','lease-kim@example.com','LeaseExpired',1,1772366476000,'keytenant','019ca946-32e0-747e-a0d1-69e494fe9d58','{"agentId":"agent_bob-000002","contactEmail":"kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:01:15.000Z","leaseId":"lease-000011"}',X'6937CE93FD8B5E894F862815E8E18A8114D54AA460F61969F6ECA40F4D9CF56C');
INSERT INTO "events" VALUES(21,'acme',11,'019ca946-32e0-7069-9265-bab24172d1b6','lease-kim@example.com','LeaseAcquired',1,1772366476000,'keytenant','019ca946-32e0-747e-a0d1-69e494fe9d58','{"agentId":"agent_cid-000003","contactEmail":"kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:02:16.000Z","fence":11,"intent":"line\nbreak","leaseId":"lease-000023"}',X'DF2550A1F9FBA3ACE4FE7E0103397B16B0DF7FD8B87F2EA324B08800CD0D9162');
INSERT INTO "events" VALUES(22,'umbrella',11,'019ca946-4668-77e5-a416-bf6149bee9ca','agent-bob-000005','HeartbeatReceived',1,1772366481000,'keytenant','019ca946-4668-728e-b1d6-695158c94fd9','{"activeUntil":"2026-03-01T12:06:21.000Z","agentId":"agent_bob-000005"}',X'95CB2D24C6FEA4A45696B8DD6491936E9ADA4F896B51705CF608416FF67A9292');
INSERT INTO "events" VALUES(23,'umbrella',12,'019ca946-4668-767f-8828-a58ba44e1e9c','agent-ann-000004','HeartbeatReceived',1,1772366481000,'keytenant','019ca946-4668-70e2-adca-d7a0affb2ef1','{"activeUntil":"2026-03-01T12:06:21.000Z","agentId":"agent_ann-000004"}',X'DEFDB96E91751C3E569149C3A6ACE542A3064FF9FD319DD91F6F454511276265');
INSERT INTO "events" VALUES(24,'umbrella',13,'019ca946-4668-7825-b417-a613834b8270','agent-bob-000005','AgentReregistered',1,1772366481000,'keytenant','019ca946-4668-76e8-8b8b-87a6d470e14b','{"activeUntil":"2026-03-01T12:06:21.000Z","agentId":"agent_bob-000005","agentName":"bob","agentRole":"ünïcode 💻","incarnation":4}',X'CD754E2C690BA5E03EB7DF71322AC6ADEDDA8AE71A89D144C25DAAD795D0DD26');
INSERT INTO "events" VALUES(25,'umbrella',14,'019ca946-4668-7f47-b9dd-7bb863da3a4d','config-ann-000004','AgentConfigured',1,1772366481000,'keytenant','019ca946-4668-74b3-b89c-c0928974e217','{"agentId":"agent_ann-000004","settings":{"humanizer_style":"dry"}}',X'E6D57F78DCC45EE7912B4AC7BF3D82F775171732B3BB4996040A3F0B6BB30230');
INSERT INTO "events" VALUES(26,'acme',12,'019ca946-4668-71a4-8fa5-f456ad94406a','agent-cid-000003','HeartbeatReceived',1,1772366481000,'keytenant','019ca946-4668-73ab-8f84-b6236096551e','{"activeUntil":"2026-03-01T12:06:21.000Z","agentId":"agent_cid-000003"}',X'AD3DD1C009E2E87210F438403A3CA0FF8FA596B1289D3CEABBF15BB146B0F88C');
INSERT INTO "events" VALUES(27,'acme',13,'019ca946-4668-7007-9d12-53724f40c79c','lease-kim@example.com','LeaseConflicted',1,1772366481000,'keytenant','019ca946-4668-7fb7-9177-604d6e62123a','{"agentId":"agent_bob-000002","agentName":"bob","contactEmail":"Kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:02:16.000Z","holderId":"agent_cid-000003","holderName":"cid","intent":"line\nbreak","leaseId":"lease-000023"}',X'285849624C196DD6B3C611FC6189974026273CE2AFA18BD0DEF3922FEF39F9CB');
INSERT INTO "events" VALUES(28,'acme',14,'019ca946-4a50-7afb-8af9-e797f4ac76e4','config-bob-000002','AgentConfigured',1,1772366482000,'keytenant','019ca946-4a50-746a-a8a5-b3f51a8f5ff4','{"agentId":"agent_bob-000002","settings":{"humanizer_style":"warm"}}',X'313BB8629A0E4A0709E526FA12F3F6863B4C9947C285F724BBBD83A091CFCA8F');
INSERT INTO "events" VALUES(29,'umbrella',15,'019ca946-5dd8-7bd6-a1f6-4d1d6acf5934','send-lee@example.com','SendAuthorized',1,1772366487000,'keytenant','019ca946-5dd8-7d1d-b0d0-b627e38b9a68','{"agentId":"agent_cid-000006","contactEmail":"Lee@example.com","contactKey":"lee@example.com","sendId":"send-000028"}',X'D57E862EDFD2F57228CD23FC90C74A27F718D8687B35E4AD1B84E3A45E0491FB');
INSERT INTO "events" VALUES(30,'acme',15,'019ca946-5dd8-79ed-9a6b-0a0557b0618a','lease-kim@example.com','LeaseConflicted',1,1772366487000,'keytenant','019ca946-5dd8-753b-9500-69d2c419e03b','{"agentId":"agent_ann-000001","agentName":"ann","contactEmail":"kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:02:16.000Z","holderId":"agent_cid-000003","holderName":"cid","intent":"general","leaseId":"lease-000023"}',X'220B2A3C5C71E179683B04C8AD0954BB1E5917D3B5F1549088471B98CCA60A2D');
INSERT INTO "events" VALUES(31,'acme',16,'019ca946-5dd8-7af5-99c1-443a9d59da33','lease-kim@example.com','LeaseConflicted',1,1772366487000,'keytenant','019ca946-5dd8-7463-a75a-d51b19490fb1','{"agentId":"agent_ann-000001","agentName":"ann","contactEmail":"Kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:02:16.000Z","holderId":"agent_cid-000003","holderName":"cid","intent":"a \"quoted\" intent","leaseId":"lease-000023"}',X'0E036D997B188D64726E99E84787A6798252E877707BDB9F1B607788EFFF0715');
INSERT INTO "events" VALUES(32,'acme',17,'019ca946-7160-7965-bf2c-14b64e4d646b','agent-dee-000033','AgentRegistered',1,1772366492000,'keytenant','019ca946-7160-712c-b3fe-3d5a9291f68c','{"activeUntil":"2026-03-01T12:06:32.000Z","agentId":"agent_dee-000033","agentName":"dee","agentRole":"outbound","incarnation":1}',X'4F890FCFD34DF482D1BBA00E838F13F1893A2571B67835339B6FFE9FD9536EAD');
INSERT INTO "events" VALUES(33,'umbrella',16,'019ca946-7160-7e7f-aa21-ddb47519201c','agent-cid-000006','HeartbeatReceived',1,1772366492000,'keytenant','019ca946-7160-7eac-8a9e-d4d584f82216','{"activeUntil":"2026-03-01T12:06:32.000Z","agentId":"agent_cid-000006"}',X'025084D1969BBBA062EFD8A80E7A7C88BAC2DF518C9D041279E9CF2A94AAAC05');
INSERT INTO "events" VALUES(34,'acme',18,'019ca947-0da0-7aec-825a-38c83617c687','agent-cid-000003','HeartbeatReceived',1,1772366532000,'keytenant','019ca947-0da0-7102-b2e0-63183765f6a4','{"activeUntil":"2026-03-01T12:07:12.000Z","agentId":"agent_cid-000003"}',X'6BB2634E6585754C178A1E797D3472F3E3A4FFCAF94B1C3B9611944AEB782DDB');
INSERT INTO "events" VALUES(35,'umbrella',17,'019ca947-0da0-7907-b2c8-e5b0fbef4216','key-key-000007','KeyRevoked',1,1772366532000,'keytenant','019ca947-0da0-7e31-a373-15d0156c6cb4','{"keyId":"key-000007"}',X'184B099DB484C9DA66089A290163EBF080D198BED7A6D7384EBC246D093E5D75');
INSERT INTO "events" VALUES(36,'acme',19,'019ca947-0da0-7815-8060-4cd30e3cffc7','lease-kim@example.com','LeaseReleased',1,1772366532000,'keytenant','019ca947-0da0-715f-bb79-6140c129d4cd','{"agentId":"agent_cid-000003","contactKey":"kim@example.com","leaseId":"lease-000023"}',X'65C8C8B8C6D82855E34CDBCE9E410C8009AF59BAF15155106A17119A5B6FC34A');
INSERT INTO "events" VALUES(37,'umbrella',18,'019ca947-4838-7e51-9c85-ce21a89ed504','lease-max@example.com','LeaseAcquired',1,1772366547000,'keytenant','019ca947-4838-77cc-a9da-92dac94044dd','{"agentId":"agent_dee-000008","contactEmail":"max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:32:27.000Z","fence":18,"intent":"general","leaseId":"lease-000038"}',X'BF218133B0F519FED1B015532CD1029F194C45CCBC4A38F5F43C49372AF1DBC7');
INSERT INTO "events" VALUES(38,'umbrella',19,'019ca947-e478-7eef-9822-be4eb6bfa5b1','key-key-000040','KeyIssued',1,1772366587000,'keytenant','019ca947-e478-7368-970a-f7f7f8969a1b','{"agentId":"agent_dee-000008","agentName":"DEE","keyId":"key-000040","role":"agent","secretHash":"0000000000000000000000000000000000000000000000000000000000000000"}',X'5327AF45CCB9AD0809DC8302D3D9CE4CD96D682F0770B975BE870C6296A09049');
INSERT INTO "events" VALUES(39,'umbrella',20,'019ca947-e478-79fd-8fc0-41fedea84337','send-lee@example.com','SendAuthorized',1,1772366587000,'keytenant','019ca947-e478-7eb4-a95c-be0049d34d5d','{"agentId":"agent_dee-000008","contactEmail":"Lee@example.com","contactKey":"lee@example.com","sendId":"send-000042"}',X'13B82E01929263058D7290BC70798C771EC0AC9AA96ED00A80AA009FD354D664');
INSERT INTO "events" VALUES(40,'acme',20,'019ca947-e478-77ac-9775-ad47a833bbe5','agent-ann-000001','HeartbeatReceived',1,1772366587000,'keytenant','019ca947-e478-7214-afeb-4bdb07609c8f','{"activeUntil":"2026-03-01T12:08:07.000Z","agentId":"agent_ann-000001"}',X'A96BC044B9E1EBF39ECBE6160A19F050827C32118CDEDFFAE42FDB5A5510BC34');
INSERT INTO "events" VALUES(41,'umbrella',21,'019ca947-e478-7386-9021-81183cda9cbc','lease-max@example.com','LeaseReleased',1,1772366587000,'keytenant','019ca947-e478-7c36-b4a9-c83d1d15d03f','{"agentId":"agent_dee-000008","contactKey":"max@example.com","leaseId":"lease-000038"}',X'C0354ADC620868EB2A7BD713292AFA4DF5C0A72CA3F8C904FA10A60F483F65EB');
INSERT INTO "events" VALUES(42,'acme',21,'019ca948-9440-78ef-ad3c-4cb358d399bb','lease-kim@example.com','LeaseAcquired',1,1772366632000,'keytenant','019ca948-9440-71d0-9b0d-ba5e13d1f036','{"agentId":"agent_cid-000003","contactEmail":"Kim@example.com","contactKey":"kim@example.com","expiresAt":"2026-03-01T12:04:52.000Z","fence":21,"intent":"line\nbreak","leaseId":"lease-000044"}',X'465E365E612AF3AA413E9146125E248370961A6C4AF8C7F37C74E644C960F1C9');
INSERT INTO "events" VALUES(43,'acme',22,'019ca948-9440-7c97-914e-86bc2b1c236d','key-key-000018','KeyRevoked',1,1772366632000,'keytenant','019ca948-9440-7f46-880c-0f1825b66750','{"keyId":"key-000018"}',X'25EBEC67F1726D158CBADD2C3EF0BA85CE6A582F586B7BB970AEE9C1CD26DB37');
INSERT INTO "events" VALUES(44,'umbrella',22,'019ca948-a7c8-78a1-9ebb-a110515d4872','consensus-request-000046','ConsensusRequested',1,1772366637000,'keytenant','019ca948-a7c8-782b-a188-9464d4aa498d','{"action":"pause outreach","agentId":"agent_dee-000008","contactEmail":"Kim@example.com","contactKey":"kim@example.com","electorate":"snapshot","eligible":4,"members":["agent_ann-000004","agent_bob-000005","agent_cid-000006","agent_dee-000008"],"minimum":0,"proposerVotes":true,"reason":"Fatigue scores are high","requestId":"request-000046","timeoutAt":"2026-03-01T12:08:57.000Z"}',X'E26473EAA249E487CCA763B974231313DC3628313B7E80D486AACB740F95BB88');
INSERT INTO "events" VALUES(45,'acme',23,'019ca948-a7c8-7d25-8a93-dffda161abbb','lease-max@example.com','LeaseAcquired',1,1772366637000,'keytenant','019ca948-a7c8-7e37-a130-530743e354a4','{"agentId":"agent_dee-000033","contactEmail":"Max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:04:03.000Z","fence":23,"intent":"general","leaseId":"lease-000047"}',X'F5A610D5B3C75B9D4F9D63925B1CFE18ED7F2EFD4B0FF6F35E52DE1A569D717C');
INSERT INTO "events" VALUES(46,'umbrella',23,'019ca948-a7c8-7178-b2af-848b9df757b1','lease-max@example.com','LeaseAcquired',1,1772366637000,'keytenant','019ca948-a7c8-760f-a4e8-502ad63ab5a1','{"agentId":"agent_bob-000005","contactEmail":"max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:04:57.000Z","fence":23,"intent":"a \"quoted\" intent","leaseId":"lease-000048"}',X'4857036BFEF9C7C680BEACB7ED2AA040EB55D80C3C6F779347F99DFB44B03A87');
INSERT INTO "events" VALUES(47,'acme',24,'019ca948-a7c8-7d83-9052-97ef6751ca0c','agent-dee-000033','AgentReregistered',1,1772366637000,'keytenant','019ca948-a7c8-7ef1-ae47-ca437fab4410','{"activeUntil":"2026-03-01T12:08:57.000Z","agentId":"agent_dee-000033","agentName":"dee","agentRole":"","incarnation":2}',X'8AFC7601593F42098BE110BF2E1FBC7F741701170718934B2190376EB971B24D');
INSERT INTO "events" VALUES(48,'acme',25,'019ca948-a7c8-7160-9552-87f627f4ba26','config-dee-000033','AgentConfigured',1,1772366637000,'keytenant','019ca948-a7c8-7fe5-926c-02a40453bfcf','{"agentId":"agent_dee-000033","settings":{"humanizer_style":"dry"}}',X'AED7FB41EB5065ABD4ED1582D8F9356E34E18517A4D2F0B74ADF47D37227CB4D');
INSERT INTO "events" VALUES(49,'acme',26,'019ca949-4408-75b4-b5b6-2b486956b2cc','lease-max@example.com','LeaseExpired',1,1772366677000,'keytenant','019ca949-4408-7733-a3c0-19080af26417','{"agentId":"agent_dee-000033","contactEmail":"Max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:04:03.000Z","leaseId":"lease-000047"}',X'9E18C63A95FFA02FE3B717B4289F536D42C83AC554AAD4FBEEEEAC43BBC10931');
INSERT INTO "events" VALUES(50,'umbrella',24,'019ca949-4408-7a1b-92fc-11d5c6d25b14','lease-max@example.com','LeaseReleased',1,1772366677000,'keytenant','019ca949-4408-7785-93fa-f52d64a6c095','{"agentId":"agent_bob-000005","contactKey":"max@example.com","leaseId":"lease-000048"}',X'83F637FE99CC3E6B3956106E8410EC5A6F5B084C74C8B27803E2551B8B29EB7D');
INSERT INTO "events" VALUES(51,'acme',27,'019ca949-4408-73d5-a94a-22cbf4d3b064','lease-kim@example.com','LeaseRenewed',1,1772366677000,'keytenant','019ca949-4408-7596-9dac-c3a88b89f51a','{"agentId":"agent_cid-000003","contactKey":"kim@example.com","expiresAt":"2026-03-01T13:04:37.000Z","intent":"line\nbreak","leaseId":"lease-000044"}',X'93E8233F7F9F271D2D158C50E65489004DC270E245EB9E3B8BD1A7C4E9F09331');
INSERT INTO "events" VALUES(52,'umbrella',25,'019ca949-4408-7b32-b441-08b18865c117','send-max@example.com','SendAuthorized',1,1772366677000,'keytenant','019ca949-4408-76b3-a0d3-7c99fa038a5c','{"agentId":"agent_cid-000006","contactEmail":"max@example.com","contactKey":"max@example.com","sendId":"send-000050"}',X'ED8A4414DD39F364337CE2F8E89F87C8764D05B0DF37310AD017C664895C73BF');
INSERT INTO "events" VALUES(53,'acme',28,'019ca949-4408-79f3-bb72-1401c42296fb','agent-cid-000003','HeartbeatReceived',1,1772366677000,'keytenant','019ca949-4408-7dc6-b833-bcc04c0b64eb','{"activeUntil":"2026-03-01T12:09:37.000Z","agentId":"agent_cid-000003"}',X'34079035A46BD039781CCC40BC68A86F56180BA7C4F2F782CC67040C41434E52');
INSERT INTO "events" VALUES(54,'umbrella',26,'019ca949-4408-7890-ab07-0c2406a24970','lease-max@example.com','LeaseAcquired',1,1772366677000,'keytenant','019ca949-4408-7090-8ad3-499fe1eb32b3','{"agentId":"agent_dee-000008","contactEmail":"Max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:05:37.000Z","fence":26,"intent":"a \"quoted\" intent","leaseId":"lease-000053"}',X'5DEB39989532174E647B55108B5C617E7BE24ED1933CD7498F55EDDDAED40319');
INSERT INTO "events" VALUES(55,'umbrella',27,'019ca949-4408-7d25-afc2-3b8e7a9ab023','agent-cid-000006','HeartbeatReceived',1,1772366677000,'keytenant','019ca949-4408-7839-945b-5322a23efe3e','{"activeUntil":"2026-03-01T12:09:37.000Z","agentId":"agent_cid-000006"}',X'56C7524F1E1A99372CCF6C26CD29F7AAEFCE55B07B35CFD489C1CE6EB7E8F682');
INSERT INTO "events" VALUES(56,'umbrella',28,'019ca949-4408-710b-bb7d-1d58e740581f','consensus-request-000046','VoteCast',1,1772366677000,'keytenant','019ca949-4408-71d8-a940-e99ea1a6fc4f','{"agentId":"agent_cid-000006","reason":"agreed","requestId":"request-000046","vote":"reject","voteId":"vote-000054"}',X'5C2B4B609C44E1ABE79EDBF21B9F864E5704EFE9EA13F20A108ABFF9D3CB2278');
INSERT INTO "events" VALUES(57,'acme',29,'019ca949-e048-7b6f-ac13-aa620e965ae8','agent-ann-000001','HeartbeatReceived',1,1772366717000,'keytenant','019ca949-e048-7a12-8544-28cc6074371e','{"activeUntil":"2026-03-01T12:10:17.000Z","agentId":"agent_ann-000001"}',X'EB359048A25C64097A42D1F0D7E85EFA3F521B6D7FDC32A8533167EEEE84BAA0');
INSERT INTO "events" VALUES(58,'umbrella',29,'019ca949-e048-7ae3-9d5c-97078f0dff64','lease-lee@example.com','LeaseAcquired',1,1772366717000,'keytenant','019ca949-e048-7dbd-b6cf-1b0f5ed1e4f5','{"agentId":"agent_cid-000006","contactEmail":"Lee@example.com","contactKey":"lee@example.com","expiresAt":"2026-03-01T12:10:17.000Z","fence":29,"intent":"general","leaseId":"lease-000056"}',X'3ECEC47BA4B96F6397DBC09503481BF7F33D5E619E5A67AE46CC990BDD552582');
INSERT INTO "events" VALUES(59,'umbrella',30,'019ca949-e048-71f1-ada3-832060374a47','lease-lee@example.com','LeaseRenewed',1,1772366717000,'keytenant','019ca949-e048-7683-9f55-3e601d224948','{"agentId":"agent_cid-000006","contactKey":"lee@example.com","expiresAt":"2026-03-01T12:35:17.000Z","intent":"a \"quoted\" intent","leaseId":"lease-000056"}',X'DF94DA94D1F4899F76BBF7BD7DDBB76FB4B3BB4627A0545113DD1D1941A1E1EE');
INSERT INTO "events" VALUES(60,'acme',30,'019ca949-e048-7d46-8f95-0fa79a1d6f9e','consensus-request-000058','ConsensusRequested',1,1772366717000,'keytenant','019ca949-e048-7986-806e-7a67c101cca8','{"action":"pause outreach","agentId":"agent_dee-000033","contactEmail":"Kim@example.com","contactKey":"kim@example.com","electorate":"live","eligible":3,"minimum":0,"proposerVotes":true,"reason":"Fatigue scores are high","requestId":"request-000058","timeoutAt":"2026-03-01T12:10:17.000Z"}',X'1CC2A4028E54403C593DE3346701415E50CA9630BF53348B8D916C0C4CBC9B93');
INSERT INTO "events" VALUES(61,'umbrella',31,'019ca949-e048-7ec1-b6f0-e2ca91a26f9a','send-lee@example.com','SendBlocked',1,1772366717000,'keytenant','019ca949-e048-713a-8bf9-50886f3c7c08','{"agentId":"agent_bob-000005","agentName":"bob","contactEmail":"lee@example.com","contactKey":"lee@example.com","expiresAt":"2026-03-01T12:35:17.000Z","fence":1,"holderId":"agent_cid-000006","holderName":"cid","reason":"lease_conflict","sendId":"send-000059"}',X'68A83EE288801E1092128A38863BEAFB34791E9F530D0025D440217BCAD04DC8');
INSERT INTO "events" VALUES(62,'umbrella',32,'019ca94a-7c88-772b-ab70-b0fcbeae6e2b','agent-dee-000008','AgentLapsed',1,1772366757000,'keytenant','019ca94a-7c88-700d-b72f-5cd2cbc39069','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_dee-000008","agentName":"DEE","lastHeartbeat":"2026-03-01T12:00:00.000Z"}',X'D8324509FC98912CA0F3CDFB523063E66EC89A355CC23DEE362807D629B99128');
INSERT INTO "events" VALUES(63,'umbrella',33,'019ca94a-7c88-716c-8a07-feb9a00256db','lease-max@example.com','LeaseRevoked',1,1772366757000,'keytenant','019ca94a-7c88-700d-b72f-5cd2cbc39069','{"agentId":"agent_dee-000008","contactEmail":"Max@example.com","contactKey":"max@example.com","leaseId":"lease-000053","reason":"agent_inactive"}',X'147504F5552E1D24AA8BF17AAF4532B769DBCD2E403C42F04BE85A50087982CC');
INSERT INTO "events" VALUES(64,'acme',31,'019ca94a-7c88-7a5f-8da7-27e522f8d149','consensus-request-000058','VoteCast',1,1772366757000,'keytenant','019ca94a-7c88-70e3-bc9d-cb0db209fc07','{"agentId":"agent_cid-000003","requestId":"request-000058","vote":"approve","voteId":"vote-000061"}',X'5E45A0D8A07610507E0772A4E73A7D10D9D24A802E75673FA25867453F0B1D62');
INSERT INTO "events" VALUES(65,'acme',32,'019ca94a-7c88-7a95-9809-d96a2b4a06bd','consensus-request-000058','VoteCast',1,1772366757000,'keytenant','019ca94a-7c88-71f7-9683-8e307075cf24','{"agentId":"agent_ann-000001","requestId":"request-000058","vote":"approve","voteId":"vote-000063"}',X'DA51F3B85291EEDD93512B463A59C6C1549ED9988F509A89CF9D3EB4B7AFAD8F');
INSERT INTO "events" VALUES(66,'acme',33,'019ca94a-7c88-7120-9838-e1d58712d3ff','consensus-request-000058','ConsensusDecided',1,1772366757000,'keytenant','019ca94a-7c88-71f7-9683-8e307075cf24','{"action":"pause outreach","agentId":"agent_dee-000033","approvals":2,"contactEmail":"Kim@example.com","electorate":["agent_ann-000001","agent_cid-000003","agent_dee-000033"],"electorateSize":3,"rejections":0,"requestId":"request-000058","status":"approved"}',X'7489B5EB681E121D79CF27D6FE646B234640AF50791AD487B308902F6562052C');
INSERT INTO "events" VALUES(67,'umbrella',34,'019ca94a-7c88-7cf7-a87f-8caec48090ff','lease-lee@example.com','LeaseRenewed',1,1772366757000,'keytenant','019ca94a-7c88-7a50-a394-95ca45356577','{"agentId":"agent_cid-000006","contactKey":"lee@example.com","expiresAt":"2026-03-01T13:05:57.000Z","intent":"a \"quoted\" intent","leaseId":"lease-000056"}',X'1E22F97EF564EFDBAD18C7927AA867BEC57DC310C2831E66D2C3F7DDA78960A7');
INSERT INTO "events" VALUES(68,'umbrella',35,'019ca94a-7c88-770f-9269-7713fc177c32','agent-cid-000006','AgentReregistered',1,1772366757000,'keytenant','019ca94a-7c88-711b-a14d-a67bf2b19f51','{"activeUntil":"2026-03-01T12:10:57.000Z","agentId":"agent_cid-000006","agentName":"cid","agentRole":"ünïcode 💻","incarnation":2}',X'0323F47FC868E664583ED16CD9823F1E8FAA6380B3108EC6B9CD06C799314F76');
INSERT INTO "events" VALUES(69,'acme',34,'019ca94a-7c88-77e0-8047-2b4624dbce69','agent-bob-000002','AgentLapsed',1,1772366757000,'keytenant','019ca94a-7c88-75e9-90c0-becee4dcbdab','{"activeUntil":"2026-03-01T12:05:00.000Z","agentId":"agent_bob-000002","agentName":"bob","lastHeartbeat":"2026-03-01T12:00:00.000Z"}',X'24B62C5765306A1268632DBA9A0638C5F21805B2F5B79077BC59C81899C38F44');
INSERT INTO "events" VALUES(70,'umbrella',36,'019ca94a-7c88-7cd5-bdf3-f265b3aac1f5','lease-max@example.com','LeaseAcquired',1,1772366757000,'keytenant','019ca94a-7c88-72ef-a37d-0f26b9bef66e','{"agentId":"agent_bob-000005","contactEmail":"max@example.com","contactKey":"max@example.com","expiresAt":"2026-03-01T12:06:03.000Z","fence":36,"intent":"line\nbreak","leaseId":"lease-000066"}',X'AAD0D9C93C92455CA491DB7BB7D162988214D7BC5244E90AFA11A4202E1FD42C');
INSERT INTO "events" VALUES(71,'umbrella',37,'019ca94a-7c88-7c35-8464-7375c9764002','consensus-request-000067','ConsensusRequested',1,1772366757000,'keytenant','019ca94a-7c88-7835-b5ae-7744146a8b62','{"action":"pause outreach","agentId":"agent_cid-000006","contactEmail":"max@example.com","contactKey":"max@example.com","electorate":"live","eligible":2,"floor":"0.5","minimum":1,"proposerVotes":false,"reason":"Fatigue scores are high","requestId":"request-000067","timeoutAt":"2026-03-01T12:06:27.000Z"}',X'8188FB3115456203731A36229A6C7DF8499F61584B76C6202873EF3D29EC37E6');
INSERT INTO "events" VALUES(72,'umbrella',38,'019ca94a-7c88-769d-9280-8b1358a0e276','consensus-request-000046','VoteCast',1,1772366757000,'keytenant','019ca94a-7c88-77c0-a96c-1760abb7fbbb','{"agentId":"agent_ann-000004","requestId":"request-000046","vote":"approve","voteId":"vote-000068"}',X'0D9EF58109E73143BB7FB53D573F9D11052A987655C29A490853FFD520BFC9C9');
INSERT INTO "events" VALUES(73,'umbrella',39,'019ca94a-7c88-7e1e-932c-38ab70ea268c','agent-dee-000008','AgentReregistered',1,1772366757000,'keytenant','019ca94a-7c88-7a02-b5ef-49c7d4511cbf','{"activeUntil":"2026-03-01T12:10:57.000Z","agentId":"agent_dee-000008","agentName":"DEE","agentRole":"","incarnation":2}',X'90E549247C4314BC582D03F1F221697B6AEBAD58C3F02CAC776270937BAED0F2');
INSERT INTO "events" VALUES(74,'umbrella',40,'019ca94a-93f8-7de6-81ec-15f8fb98531a','send-lee@example.com','SendBlocked',1,1772366763000,'keytenant','019ca94a-93f8-7fe4-aad3-e35a722d391f','{"agentId":"agent_ann-000004","agentName":"ANN","contactEmail":"lee@example.com","contactKey":"lee@example.com","expiresAt":"2026-03-01T13:05:57.000Z","holderId":"agent_cid-000006","holderName":"cid","reason":"lease_conflict","sendId":"send-000072"}',X'3123F030940186AB4AA63242D8BC3231AC6B4F683FB2F9121743343033D0927F');
INSERT INTO "events" VALUES(75,'acme',35,'019ca94a-97e0-7850-832d-de9451fac799','lease-zoe@example.com','LeaseAcquired',1,1772366764000,'keytenant','019ca94a-97e0-7708-a033-a2cdbb6ae7a3','{"agentId":"agent_ann-000001","contactEmail":"Zoe@example.com","contactKey":"zoe@example.com","expiresAt":"2026-03-01T12:36:04.000Z","fence":35,"intent":"outbound","leaseId":"019ca94a-97e0-720e-8b98-d74ea523f341"}',X'54082F6878153D80B144FC966BCB342E9D3F3D6BC4A7A09F7DAA876B72876477');
CREATE TABLE keys (
	id VARCHAR(32) NOT NULL, 
	tenant VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	secret_hash VARCHAR(64) NOT NULL, 
	agent_id VARCHAR(64), 
	agent_name VARCHAR(64), 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "keys" VALUES('key-000007','umbrella','agent','0000000000000000000000000000000000000000000000000000000000000000','agent_dee-000008','dee',1772366400000,1772366532000);
INSERT INTO "keys" VALUES('key-000018','acme','agent','0000000000000000000000000000000000000000000000000000000000000000','agent_cid-000003','cid',1772366455000,1772366632000);
INSERT INTO "keys" VALUES('key-000020','acme','agent','0000000000000000000000000000000000000000000000000000000000000000','agent_bob-000002','bob',1772366455000,NULL);
INSERT INTO "keys" VALUES('key-000040','umbrella','agent','0000000000000000000000000000000000000000000000000000000000000000','agent_dee-000008','DEE',1772366587000,NULL);
CREATE TABLE leases (
	tenant VARCHAR(64) NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	contact_key TEXT NOT NULL, 
	contact_email TEXT NOT NULL, 
	agent_id VARCHAR(64) NOT NULL, 
	intent TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	ended_at BIGINT, 
	PRIMARY KEY (tenant, id)
)
 WITHOUT ROWID

;
INSERT INTO "leases" VALUES('acme','019ca94a-97e0-720e-8b98-d74ea523f341','zoe@example.com','Zoe@example.com','agent_ann-000001','outbound',1772366764000,1772368564000,35,'active',NULL);
INSERT INTO "leases" VALUES('acme','lease-000011','kim@example.com','kim@example.com','agent_bob-000002','a "quoted" intent',1772366415000,1772366475000,5,'expired',1772366476000);
INSERT INTO "leases" VALUES('acme','lease-000023','kim@example.com','kim@example.com','agent_cid-000003','line
break',1772366476000,1772366536000,11,'released',1772366532000);
INSERT INTO "leases" VALUES('acme','lease-000044','kim@example.com','Kim@example.com','agent_cid-000003','line
break',1772366632000,1772370277000,21,'active',NULL);
INSERT INTO "leases" VALUES('acme','lease-000047','max@example.com','Max@example.com','agent_dee-000033','general',1772366637000,1772366643000,23,'expired',1772366677000);
INSERT INTO "leases" VALUES('umbrella','lease-000038','max@example.com','max@example.com','agent_dee-000008','general',1772366547000,1772368347000,18,'released',1772366587000);
INSERT INTO "leases" VALUES('umbrella','lease-000048','max@example.com','max@example.com','agent_bob-000005','a "quoted" intent',1772366637000,1772366697000,23,'released',1772366677000);
INSERT INTO "leases" VALUES('umbrella','lease-000053','max@example.com','Max@example.com','agent_dee-000008','a "quoted" intent',1772366677000,1772366737000,26,'revoked',1772366757000);
INSERT INTO "leases" VALUES('umbrella','lease-000056','lee@example.com','Lee@example.com','agent_cid-000006','a "quoted" intent',1772366717000,1772370357000,29,'active',NULL);
INSERT INTO "leases" VALUES('umbrella','lease-000066','max@example.com','max@example.com','agent_bob-000005','line
break',1772366757000,1772366763000,36,'active',NULL);
CREATE TABLE requests (
	tenant VARCHAR(64) NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	agent_id VARCHAR(64) NOT NULL, 
	action TEXT NOT NULL, 
	contact_key TEXT NOT NULL, 
	contact_email TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	timeout_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	electorate VARCHAR(16) NOT NULL, 
	proposer_votes BOOLEAN NOT NULL, 
	floor TEXT, 
	eligible INTEGER NOT NULL, 
	minimum INTEGER NOT NULL, 
	members TEXT, 
	closed_at BIGINT, 
	approvals INTEGER, 
	rejections INTEGER, 
	electorate_size INTEGER, 
	PRIMARY KEY (tenant, id)
)
 WITHOUT ROWID

;
INSERT INTO "requests" VALUES('acme','request-000058','agent_dee-000033','pause outreach','kim@example.com','Kim@example.com','Fatigue scores are high','approved',1772367017000,1772366717000,'live',1,NULL,3,0,NULL,1772366757000,2,0,3);
INSERT INTO "requests" VALUES('umbrella','request-000046','agent_dee-000008','pause outreach','kim@example.com','Kim@example.com','Fatigue scores are high','pending',1772366937000,1772366637000,'snapshot',1,NULL,4,0,'["agent_ann-000004","agent_bob-000005","agent_cid-000006","agent_dee-000008"]',NULL,NULL,NULL,NULL);
INSERT INTO "requests" VALUES('umbrella','request-000067','agent_cid-000006','pause outreach','max@example.com','max@example.com','Fatigue scores are high','pending',1772366787000,1772366757000,'live',0,'0.5',2,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE tenants (
	id VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "tenants" VALUES('acme',1772366400000);
INSERT INTO "tenants" VALUES('umbrella',1772366400000);
CREATE TABLE votes (
	tenant VARCHAR(64) NOT NULL, 
	request_id VARCHAR(36) NOT NULL, 
	agent_id VARCHAR(64) NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	vote VARCHAR(16) NOT NULL, 
	reason TEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (tenant, request_id, agent_id)
)
 WITHOUT ROWID

;
INSERT INTO "votes" VALUES('acme','request-000058','agent_ann-000001','vote-000063','approve',NULL,1772366757000);
INSERT INTO "votes" VALUES('acme','request-000058','agent_cid-000003','vote-000061','approve',NULL,1772366757000);
INSERT INTO "votes" VALUES('umbrella','request-000046','agent_ann-000004','vote-000068','approve',NULL,1772366757000);
INSERT INTO "votes" VALUES('umbrella','request-000046','agent_cid-000006','vote-000054','reject','agreed',1772366677000);
CREATE UNIQUE INDEX events_by_tenant ON events (tenant, sequence);
CREATE INDEX answers_by_age ON answers (at);
CREATE INDEX keys_by_tenant ON keys (tenant, id);
CREATE INDEX agents_active ON agents ((tenant || '')) WHERE status = 'active';
CREATE INDEX agents_due ON agents (active_until) WHERE status = 'active';
CREATE UNIQUE INDEX agents_by_name ON agents (tenant, name_key);
CREATE INDEX leases_due ON leases (expires_at) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX leases_live ON leases (tenant, contact_key) WHERE ended_at IS NULL;
CREATE INDEX leases_held ON leases (agent_id) WHERE ended_at IS NULL;
CREATE INDEX requests_due ON requests (timeout_at) WHERE status = 'pending';
CREATE INDEX requests_by_status ON requests (tenant, status, id);
CREATE TRIGGER events_no_update BEFORE update ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_no_delete BEFORE delete ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
COMMIT;
